import pytest
import torch

from models.actionformer import ActionFormerLossConfig
from models.detection import DetectorOutput, PointPrediction, Target
from models.losses import sigmoid_focal_loss
from models.points.grid import as_output, level_lengths
from models.points.loss import PointCriterion
from models.points.offsets import offset_diou_loss, offset_iou
from models.tridet import TriDetLossConfig

TOKENS, LEVELS = 32, 3
LENGTHS = level_lengths(TOKENS, LEVELS)
# The first action has points at 8 to 10 on level 0 and at 8 and 10 on level 1; the second of class 1 is like it.
TARGET = Target(torch.tensor([[7.3, 12.1], [7.5, 12.4]]) / TOKENS, torch.tensor([0, 1]))
NOTHING = Target(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))


def output(per_class: bool = False, seed: int = 0) -> DetectorOutput:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, sum(LENGTHS), *((2, 2) if per_class else (2,)))
    return as_output(
        PointPrediction(
            logits=torch.randn(2, sum(LENGTHS), 2, generator=generator),
            distances=torch.rand(shape, generator=generator) * 3,
            padding_mask=torch.zeros(2, sum(LENGTHS), dtype=torch.bool),
            lengths=LENGTHS,
        )
    )


@pytest.mark.parametrize(("logit", "absent", "present"), [
    (-4.59512, 7.5377e-7, 1.12838), (0.0, 0.129965, 0.0433217), (2.0, 1.23756, 4.5089e-4),
])  # fmt: skip
def test_the_focal_loss_is_the_published_one(logit: float, absent: float, present: float) -> None:
    # The facts list the loss of a positive at a rare class and that of a negative at a sure one.
    found = [sigmoid_focal_loss(torch.tensor(logit), torch.tensor(t), 0.25, 2.0).item() for t in (0.0, 1.0)]
    assert found == pytest.approx([absent, present], rel=1e-4)


def positives(per_class: bool) -> list[tuple[int, list[int], dict[int, tuple[float, float]]]]:
    """Point, classes and distances by class, by hand: the actions are [6.8, 11.6] and [7, 11.9] on the grid."""
    first, second = (6.8, 11.6), (7.0, 11.9)
    rows = []
    for point, place, stride, claims in [
        (8, 8, 1, {0: first, 1: second}), (9, 9, 1, {0: first, 1: second}), (10, 10, 1, {0: first, 1: second}),
    ]:  # fmt: skip
        near = {k: ((place - a) / stride, (b - place) / stride) for k, (a, b) in claims.items()}
        fits = {
            k: near[k]
            for k, (a, b) in claims.items()
            if max(place - a, b - place) <= 4 and abs(place - (a + b) / 2) < 1.5
        }
        if fits and not per_class:
            fits = {0: fits[0]} if 0 in fits else fits  # the shorter one
        if fits:
            rows.append((point, sorted(fits), fits))
    return rows


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("iou_power", [0.0, 0.2])
def test_the_loss_is_the_sum_over_points(per_class: bool, iou_power: float) -> None:
    config = ActionFormerLossConfig(
        num_levels=LEVELS, regression_per_class=per_class, iou_power=iou_power, first_reach=4.0
    )
    made = output(per_class)
    losses = PointCriterion(config)(made, [TARGET, NOTHING], 3.0)
    logits, distances = made.points.logits, made.points.distances
    rows = positives(per_class)
    weight, wanted = torch.ones_like(logits), torch.zeros_like(logits)
    regression = 0.0
    for point, classes, asked in rows:
        for label in classes:
            predicted = distances[0, point, label] if per_class else distances[0, point]
            truth = torch.tensor(asked[label])
            wanted[0, point, label] = 1
            weight[0, point, label] = offset_iou(predicted, truth) ** iou_power
            regression += offset_diou_loss(predicted, truth).item()
    focal = (sigmoid_focal_loss(logits, wanted, 0.25, 2.0) * weight).sum().item()
    assert losses["class"].item() == pytest.approx(focal / 3, rel=1e-4)
    assert losses["regression"].item() == pytest.approx(regression / 3, rel=1e-4)
    assert losses["total"].item() == pytest.approx((focal + regression) / 3, rel=1e-4)


def test_padding_counts_for_nothing() -> None:
    made = output().points
    mask = torch.cat([torch.arange(n) >= 3 for n in LENGTHS])[None].expand(2, -1)
    losses = PointCriterion(ActionFormerLossConfig(num_levels=LEVELS))(
        as_output(PointPrediction(made.logits, made.distances, mask, LENGTHS)), [NOTHING, NOTHING], 1.0
    )
    kept = made.logits[:, ~mask[0]]
    expected = sigmoid_focal_loss(kept, torch.zeros_like(kept), 0.25, 2.0).sum()
    torch.testing.assert_close(losses["total"], expected)


def test_segments_of_no_overlap_teach_without_infinite_slopes() -> None:
    config = TriDetLossConfig(num_levels=LEVELS)
    distances = torch.zeros(2, sum(LENGTHS), 2, 2, requires_grad=True)
    logits = torch.zeros(2, sum(LENGTHS), 2, requires_grad=True)
    mask = torch.zeros(2, sum(LENGTHS), dtype=torch.bool)
    made = as_output(PointPrediction(logits, distances, mask, LENGTHS))
    PointCriterion(config)(made, [TARGET, NOTHING])["total"].backward()
    assert distances.grad.isfinite().all()
    assert logits.grad.isfinite().all()


def test_the_normaliser_is_a_running_mean_that_a_checkpoint_keeps() -> None:
    def made() -> PointCriterion:
        return PointCriterion(ActionFormerLossConfig())

    normaliser = made().normaliser
    (first,) = normaliser.divisors(torch.tensor([14.0]))
    assert first.item() == pytest.approx(91.4)
    (second,) = normaliser.divisors(torch.tensor([0.0]))  # counts as one
    assert second.item() == pytest.approx(0.9 * 91.4 + 0.1)
    resumed = made().normaliser
    resumed.load_state({name: value.clone() for name, value in normaliser.state().items()})
    counts = torch.tensor([37.0])
    assert (
        resumed.divisors(counts)[0] == normaliser.divisors(counts)[0] != made().normaliser.divisors(counts)[0]
    )


def test_what_a_share_counts_is_its_points_with_an_action() -> None:
    normaliser = PointCriterion(ActionFormerLossConfig(num_levels=LEVELS)).normaliser
    mask = torch.zeros(2, TOKENS, dtype=torch.bool)
    losses = PointCriterion(ActionFormerLossConfig(num_levels=LEVELS))
    (count,) = normaliser.count(mask, [TARGET, NOTHING])
    alone = losses(output(), [TARGET, NOTHING])["total"]
    torch.testing.assert_close(losses(output(), [TARGET, NOTHING], count)["total"], alone)


def test_a_detector_of_other_levels_is_told() -> None:
    with pytest.raises(ValueError, match="num_levels=6, but the detector has 3"):
        PointCriterion(ActionFormerLossConfig())(output(), [TARGET, NOTHING])
