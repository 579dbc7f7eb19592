import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detection import DetectorOutput, Salience, SetPrediction, Target
from models.matching import pad_targets
from models.tp2detr.config import SalienceConfig, TP2DETRLossConfig
from models.tp2detr.loss import TP2DETRCriterion, foreground, salience_loss

EMPTY = Target(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))
CPU = torch.device("cpu")


def target(*segments: tuple[float, float]) -> Target:
    return Target(torch.tensor(segments).view(-1, 2), torch.zeros(len(segments), dtype=torch.long))


def output_of(salience: dict[str, Salience]) -> DetectorOutput:
    """Proposals that do not matter, with these salience logits."""
    batch = len(next(iter(salience.values())).logits)
    segments = torch.tensor([[0.2, 0.6]]).expand(batch, 1, 2)
    layer = SetPrediction(segments, torch.zeros(batch, 1, 1), torch.ones(batch, 1, dtype=torch.bool))
    return DetectorOutput(layers=(layer,), salience=salience)


def masked(lengths: list[int], total: int) -> torch.Tensor:
    return torch.arange(total) >= torch.tensor(lengths)[:, None]


def test_tokens_from_the_start_rounded_down_to_the_end_rounded_up_are_foreground() -> None:
    truth = pad_targets(
        [target((0.21, 0.43), (0.9, 1.0)), target((0.0, 0.1)), EMPTY, target((0.5, 0.5))], CPU
    )
    marked = foreground(truth, masked([10, 5, 10, 0], 12))
    assert marked.nonzero().tolist() == [
        *([0, token] for token in (2, 3, 4, 5, 9)),  # 2.1 to 4.3 and 9 to the end
        *([1, token] for token in (0, 1)),  # 0 to 0.5 of five tokens
    ]


@settings(deadline=None)
@given(st.data())
def test_boundaries_on_the_edge_of_a_token_are_not_moved_by_rounding(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 1024), label="tokens")
    start = data.draw(st.integers(0, count - 1), label="start")
    end = data.draw(st.integers(start + 1, count), label="end")
    truth = pad_targets([target((start / count, end / count))], CPU)
    marked = foreground(truth, torch.zeros(1, count, dtype=torch.bool))[0].nonzero()[:, 0].tolist()
    assert marked == list(range(start, min(end + 1, count)))


@pytest.mark.parametrize("form", ["focal", "bce"])
@pytest.mark.parametrize("over_time", ["mean", "sum"])
def test_the_loss_by_hand(form: Any, over_time: Any) -> None:
    torch.manual_seed(0)
    lengths, total = [8, 3, 0], 8
    targets = [target((0.3, 0.5), (0.45, 0.8)), target((0.1, 0.4)), target((0.1, 0.4))]
    logits = torch.randn(3, total, requires_grad=True)
    salience = Salience(logits, masked(lengths, total))
    loss = salience_loss(
        salience,
        pad_targets(targets, CPU),
        SalienceConfig(form=form, over_time=over_time),
        focal_alpha=0.3,
        focal_gamma=1.5,
    )
    expected = 0.0
    for row, length, truth in zip(logits.tolist(), lengths, targets, strict=True):
        for token in range(length):
            shown = any(
                math.floor(start * length) <= token <= math.ceil(end * length)
                for start, end in truth.segments.tolist()
            )
            p = 1 / (1 + math.exp(-row[token]))
            right = p if shown else 1 - p
            term = -math.log(right)
            if form == "focal":
                term *= (0.3 if shown else 0.7) * (1 - right) ** 1.5
            expected += term / length if over_time == "mean" else term
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[salience.padding_mask] == 0).all()
    assert (logits.grad[~salience.padding_mask] != 0).all()


def test_the_criterion_weighs_each_place() -> None:
    torch.manual_seed(0)
    mask = masked([8, 5], 8)
    salience = {place: Salience(torch.randn(2, 8), mask) for place in ("pyramid", "encoder")}
    targets = [target((0.3, 0.5), (0.6, 0.7)), target((0.1, 0.4))]
    with_salience = TP2DETRCriterion(TP2DETRLossConfig())(output_of(salience), targets)
    silent = TP2DETRLossConfig(salience=SalienceConfig(weight=0.0))
    without = TP2DETRCriterion(silent)(output_of(salience), targets)
    for place, found in salience.items():
        alone = salience_loss(
            found, pad_targets(targets, CPU), SalienceConfig(), focal_alpha=0.25, focal_gamma=2.0
        )
        torch.testing.assert_close(with_salience[f"salience_{place}"], alone / 3)  # three targets
    expected = 3 * (0.5 * with_salience["salience_pyramid"] + 1.5 * with_salience["salience_encoder"])
    torch.testing.assert_close(with_salience["total"] - without["total"], expected)
    only = TP2DETRCriterion(TP2DETRLossConfig())(output_of({"encoder": salience["encoder"]}), targets)
    assert {name for name in only if name.startswith("salience")} == {"salience_encoder"}


def test_shares_of_a_batch_add_up_however_much_padding_each_has() -> None:
    torch.manual_seed(0)
    logits, mask = torch.randn(3, 9), masked([9, 4, 6], 9)
    targets = [target((0.3, 0.5)), target((0.1, 0.4), (0.6, 0.7)), EMPTY]
    criterion = TP2DETRCriterion(TP2DETRLossConfig())
    whole = criterion(output_of({"encoder": Salience(logits, mask)}), targets, num_targets=1)
    parts = [
        criterion(
            output_of({"encoder": Salience(logits[rows, :length], mask[rows, :length])}),
            targets[rows],
            num_targets=1,
        )
        for rows, length in ((slice(0, 1), 9), (slice(1, 3), 6))
    ]
    for name in ("salience_encoder", "total"):
        torch.testing.assert_close(sum(part[name] for part in parts), whole[name])


def test_half_precision_and_junk_in_padding_do_not_matter() -> None:
    torch.manual_seed(0)
    logits, mask = torch.randn(2, 6).bfloat16(), masked([6, 2], 6)
    junk = logits.masked_fill(mask, float("nan")).requires_grad_()
    truth = pad_targets([target((0.3, 0.5)), EMPTY], CPU)
    options = {"focal_alpha": 0.25, "focal_gamma": 2.0}
    loss = salience_loss(Salience(junk, mask), truth, SalienceConfig(), **options)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(
        loss, salience_loss(Salience(logits.float(), mask), truth, SalienceConfig(), **options)
    )
    loss.backward()
    assert junk.grad is not None
    assert junk.grad.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": -1.0}, r"weight=-1\.0 must not be negative"),
        ({"encoder": -1.0}, r"encoder=-1\.0"),
        ({"form": "l2"}, "form='l2' must be one of focal, bce"),
        ({"over_time": "max"}, "over_time='max' must be one of mean, sum"),
    ],
)
def test_impossible_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SalienceConfig(**changes)
