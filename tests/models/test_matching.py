import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from models.detection import SetPrediction, Target
from models.loss_config import SegmentForm, TermWeights
from models.matching import match, pad_targets

WEIGHTS = TermWeights(classification=2.0, l1=5.0, tiou=2.0)


def run(
    predictions: list[SetPrediction],
    targets: list[Target],
    form: SegmentForm = "centre_width",
    repeats: list[int] | None = None,
) -> list[Tensor]:
    return match(
        predictions,
        pad_targets(targets, torch.device("cpu")),
        weights=WEIGHTS,
        l1_form=form,
        focal_alpha=0.25,
        focal_gamma=2.0,
        repeats=repeats,
    )


def random_prediction(layers: int, batch: int, queries: int, classes: int) -> SetPrediction:
    centre, width = torch.rand(layers, batch, queries), torch.rand(layers, batch, queries) * 0.6
    return SetPrediction(
        segments=torch.stack([centre - width / 2, centre + width / 2], -1),
        logits=torch.randn(layers, batch, queries, classes) * 2,
        valid=torch.ones(layers, batch, queries, dtype=torch.bool),
    )


def random_target(count: int, classes: int) -> Target:
    return Target(torch.rand(count, 2).sort(-1).values, torch.randint(0, classes, (count,)))


def cost_by_hand(segment: list[float], logit: float, truth: list[float], form: SegmentForm) -> float:
    p = 1 / (1 + math.exp(-logit))
    focal = 0.25 * (1 - p) ** 2 * -math.log(p) - 0.75 * p**2 * -math.log(1 - p)
    (s, e), (a, b) = segment, truth
    if form == "start_end":
        l1 = abs(s - a) + abs(e - b)
    else:
        l1 = abs((s + e) / 2 - (a + b) / 2) + abs((e - s) - (b - a))
    s, e = min(max(s, 0), 1), min(max(e, 0), 1)
    overlap = max(0.0, min(e, b) - max(s, a))
    return 2 * focal + 5 * l1 - 2 * overlap / ((e - s) + (b - a) - overlap)


@pytest.mark.parametrize("form", ["start_end", "centre_width"])
@pytest.mark.parametrize(("queries", "count"), [(5, 3), (4, 4), (3, 5), (1, 2)])
def test_no_other_assignment_is_cheaper(form: SegmentForm, queries: int, count: int) -> None:
    torch.manual_seed(queries * 10 + count)
    prediction = random_prediction(2, 2, queries, 3)
    targets = [random_target(count, 3), random_target(1, 3)]
    (assignment,) = run([prediction], targets, form)
    for layer in range(2):
        for sample, target in enumerate(targets):
            costs = [
                [
                    cost_by_hand(
                        prediction.segments[layer, sample, q].tolist(),
                        prediction.logits[layer, sample, q, label].item(),
                        truth,
                        form,
                    )
                    for truth, label in zip(target.segments.tolist(), target.labels.tolist(), strict=True)
                ]
                for q in range(queries)
            ]
            number = len(target.labels)
            if number <= queries:
                best = min(
                    sum(costs[q][n] for n, q in enumerate(qs)) for qs in permutations(range(queries), number)
                )
            else:
                best = min(
                    sum(costs[q][n] for q, n in enumerate(ns)) for ns in permutations(range(number), queries)
                )
            chosen = assignment[layer, sample].tolist()
            matched = [(q, n) for q, n in enumerate(chosen) if n >= 0]
            assert len({n for _, n in matched}) == len(matched) == min(queries, number)
            assert sum(costs[q][n] for q, n in matched) == pytest.approx(best, abs=1e-4)


def test_stacks_of_different_sizes_come_back_apart() -> None:
    torch.manual_seed(0)
    decoder, encoder = random_prediction(3, 2, 4, 2), random_prediction(1, 2, 9, 2)
    targets = [random_target(2, 2), random_target(3, 2)]
    together = run([decoder, encoder], targets)
    assert [tuple(part.shape) for part in together] == [(3, 2, 4), (1, 2, 9)]
    assert torch.equal(together[0], run([decoder], targets)[0])
    assert torch.equal(together[1], run([encoder], targets)[0])


def test_queries_that_are_not_valid_get_no_target() -> None:
    torch.manual_seed(0)
    prediction = random_prediction(1, 3, 4, 2)
    target = random_target(3, 2)
    prediction.valid[0, 0, [0, 2]] = False
    prediction.valid[0, 1] = False
    assigned = run([prediction], [target, target, target])[0][0]
    assert assigned[0, [0, 2]].tolist() == [-1, -1]
    assert (assigned[0] >= 0).sum() == 2
    assert (assigned[1] == -1).all()
    assert (assigned[2] >= 0).sum() == 3


def test_without_targets_nothing_is_matched() -> None:
    prediction = random_prediction(2, 2, 4, 2)
    assert (run([prediction], [random_target(0, 2)] * 2)[0] == -1).all()


def test_a_diverged_model_is_named_as_such() -> None:
    prediction = random_prediction(1, 1, 2, 2)
    prediction.logits[0, 0, 0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="diverged"):
        run([prediction], [Target(torch.tensor([[0.1, 0.2]]), torch.tensor([0]))])


@pytest.mark.parametrize(("queries", "count", "repeat"), [(5, 2, 2), (6, 2, 3), (4, 3, 2)])
def test_several_queries_may_answer_for_a_target(queries: int, count: int, repeat: int) -> None:
    """As if each target were there so many times; only the dense stack is asked."""
    torch.manual_seed(0)
    prediction = random_prediction(2, 2, queries, 3)
    targets = [random_target(count, 3), random_target(0, 3)]
    copies = [Target(t.segments.repeat(repeat, 1), t.labels.repeat(repeat)) for t in targets]
    once, several = run([prediction, prediction], targets, repeats=[1, repeat])
    assert torch.equal(once, run([prediction], targets)[0])
    (expected,) = run([prediction], copies)
    assert torch.equal(several[:, 0], torch.where(expected[:, 0] < 0, -1, expected[:, 0] % count))
    assert (several[:, 1] == -1).all()
    for layer in several[:, 0]:
        assert layer[layer >= 0].bincount(minlength=count).sum() == min(queries, repeat * count)
