import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.criterion import SetCriterion
from models.deformable_detr import DeformableDETRLossConfig
from models.detection import DetectorOutput, SetPrediction, Target

EMPTY = Target(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))


def prediction(segments: list, logits: list) -> SetPrediction:
    tensors = torch.tensor(segments), torch.tensor(logits)
    return SetPrediction(
        *(tensor.requires_grad_() for tensor in tensors), torch.ones(tensors[0].shape[:2]).bool()
    )


def random_output(layers: int, batch: int = 2, queries: int = 4, classes: int = 3) -> DetectorOutput:
    torch.manual_seed(0)
    rows = [
        prediction(
            torch.rand(batch, queries, 2).sort(-1).values.tolist(),
            torch.randn(batch, queries, classes).tolist(),
        )
        for _ in range(layers)
    ]
    return DetectorOutput(layers=tuple(rows))


def focal(logit: float, positive: bool) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -0.25 * (1 - p) ** 2 * math.log(p) if positive else -0.75 * p**2 * math.log(1 - p)


def test_two_layers_by_hand() -> None:
    """The matching is plain to see: query 0 with target 1 and query 1 with target 0."""
    first = prediction([[[0.55, 0.95], [0.1, 0.3], [0.4, 0.41]]], [[[0.5, -1.0], [-2.0, 1.0], [-3.0, -3.0]]])
    last = prediction([[[0.6, 1.1], [0.12, 0.3], [0.4, 0.41]]], [[[1.5, -1.0], [-2.0, 2.0], [-3.0, -3.0]]])
    target = Target(torch.tensor([[0.1, 0.35], [0.6, 0.9]]), torch.tensor([1, 0]))
    losses = SetCriterion(DeformableDETRLossConfig())(DetectorOutput(layers=(first, last)), [target])

    expected = {}
    for suffix, layer in (("_layer0", first), ("", last)):
        truth_of = {0: ([0.6, 0.9], 0), 1: ([0.1, 0.35], 1)}
        classes = l1 = tiou = 0.0
        for query in range(3):
            for label, logit in enumerate(layer.logits[0, query].tolist()):
                classes += focal(logit, query in truth_of and truth_of[query][1] == label)
        for query, ((a, b), _) in truth_of.items():
            s, e = layer.segments[0, query].tolist()
            l1 += abs((s + e) / 2 - (a + b) / 2) + abs((e - s) - (b - a))
            s, e = max(s, 0), min(e, 1)
            overlap = min(e, b) - max(s, a)
            tiou += 1 - overlap / ((e - s) + (b - a) - overlap)
        expected |= {f"class{suffix}": classes / 2, f"l1{suffix}": l1 / 2, f"tiou{suffix}": tiou / 2}
    expected["total"] = sum(
        value * {"class": 2, "l1": 5, "tiou": 2}[name.split("_")[0]] for name, value in expected.items()
    )
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-5), name


def test_without_deep_supervision_only_the_last_layer_counts() -> None:
    output = random_output(3)
    targets = [Target(torch.tensor([[0.2, 0.4]]), torch.tensor([1]))] * 2
    losses = SetCriterion(DeformableDETRLossConfig(deep_supervision=False))(output, targets)
    assert set(losses) == {"total", "class", "l1", "tiou"}
    losses["total"].backward()
    assert all(layer.segments.grad is None and layer.logits.grad is None for layer in output.layers[:-1])
    assert output.final.logits.grad is not None
    alone = SetCriterion(DeformableDETRLossConfig())(DetectorOutput(layers=output.layers[-1:]), targets)
    torch.testing.assert_close(losses["total"], alone["total"])


def test_encoder_proposals_add_a_layer_of_another_size_with_a_weight() -> None:
    output, dense = random_output(2), random_output(1, queries=9).final
    targets = [Target(torch.tensor([[0.2, 0.4]]), torch.tensor([1]))] * 2
    without = SetCriterion(DeformableDETRLossConfig())(output, targets)["total"]
    alone = SetCriterion(DeformableDETRLossConfig())(DetectorOutput(layers=(dense,)), targets)["total"]
    both = SetCriterion(DeformableDETRLossConfig(encoder_weight=0.5))(
        DetectorOutput(layers=output.layers, encoder=dense), targets
    )
    torch.testing.assert_close(both["total"], without + 0.5 * alone)
    assert {"class_encoder", "l1_encoder", "tiou_encoder"} <= set(both)


def test_more_dense_proposals_for_each_target_count_no_more() -> None:
    """The mean over the matches, so that the weight of the dense loss means the same."""
    output, dense = random_output(2), random_output(1, queries=9).final
    targets = [Target(torch.tensor([[0.2, 0.4], [0.3, 0.9]]), torch.tensor([1, 2]))] * 2
    thrice = [Target(target.segments.repeat(3, 1), target.labels.repeat(3)) for target in targets]
    without = SetCriterion(DeformableDETRLossConfig())(output, targets)["total"]
    alone = SetCriterion(DeformableDETRLossConfig())(DetectorOutput(layers=(dense,)), thrice)["total"]
    both = SetCriterion(DeformableDETRLossConfig(encoder_matches=3))(
        DetectorOutput(layers=output.layers, encoder=dense), targets
    )
    torch.testing.assert_close(both["total"], without + alone)


def some(count: int) -> Target:
    return Target(torch.rand(count, 2).sort(-1).values, torch.randint(0, 3, (count,)))


@pytest.mark.parametrize(
    "make", [lambda: [EMPTY, EMPTY], lambda: [some(2), EMPTY], lambda: [some(7), some(1)]],
    ids=["no targets at all", "a sample without", "more targets than queries"],
)  # fmt: skip
def test_loss_and_gradients_stay_finite_and_reach_every_output(make: Callable[[], list[Target]]) -> None:
    output, targets = random_output(2), make()
    losses = SetCriterion(DeformableDETRLossConfig())(output, targets)
    losses["total"].backward()
    assert all(value.isfinite() for value in losses.values())
    for layer in output.layers:
        for grad in (layer.segments.grad, layer.logits.grad):
            assert grad is not None
            assert grad.isfinite().all()
    if all(len(target.labels) == 0 for target in targets):
        assert losses["l1"] == 0
        background = sum(focal(x, False) for x in output.final.logits.flatten().tolist())
        assert losses["class"].item() == pytest.approx(background, rel=1e-5)  # divided by 1, not by 0


def test_the_callers_count_of_targets_divides() -> None:
    output = random_output(2)
    targets = [some(2), some(1)]
    criterion = SetCriterion(DeformableDETRLossConfig())
    own, given = criterion(output, targets), criterion(output, targets, torch.tensor(6.0))
    for name in own:
        torch.testing.assert_close(own[name], 2 * given[name])
    floor = criterion(output, targets, 0.25)
    torch.testing.assert_close(floor["total"], 3 * own["total"])


def test_queries_that_are_not_valid_do_not_count() -> None:
    output, targets = random_output(1), [some(2), some(1)]
    kept = (
        [layer.segments[:, :3] for layer in output.layers],
        [layer.logits[:, :3] for layer in output.layers],
    )
    valid = torch.tensor([True, True, True, False]).expand(2, 4)
    masked = DetectorOutput(layers=(SetPrediction(output.final.segments, output.final.logits, valid),))
    fewer = DetectorOutput(layers=(SetPrediction(kept[0][0], kept[1][0], valid[:, :3]),))
    criterion = SetCriterion(DeformableDETRLossConfig())
    torch.testing.assert_close(criterion(masked, targets)["total"], criterion(fewer, targets)["total"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"l1_form": "corners"}, "l1_form='corners'"),
        ({"focal_alpha": 1.5}, r"focal_alpha=1\.5"),
        ({"focal_gamma": -1}, "focal_gamma=-1"),
        ({"encoder_weight": -2}, "encoder_weight=-2"),
    ],
)
def test_impossible_settings_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeformableDETRLossConfig(**changes)


def test_half_precision_logits_give_the_same_loss() -> None:
    output, targets = random_output(1), [some(2), some(1)]
    rounded: Tensor = output.final.logits.detach().bfloat16()
    criterion = SetCriterion(DeformableDETRLossConfig())
    half = criterion(
        DetectorOutput(layers=(SetPrediction(output.final.segments, rounded, output.final.valid),)), targets
    )
    full = criterion(
        DetectorOutput(layers=(SetPrediction(output.final.segments, rounded.float(), output.final.valid),)),
        targets,
    )
    torch.testing.assert_close(half["total"], full["total"])
