import pytest
import torch

from models.detection import DetectorOutput, SetPrediction, Target
from models.tadtr import TadTRLossConfig
from models.tadtr.loss import TadTRCriterion

# Two samples of two queries; the second's truth is what the first's second query finds.
SEGMENTS = torch.tensor([[[0.0, 0.5], [0.6, 0.8]], [[0.0, 1.0], [0.0, 0.1]]])
TARGETS = [
    Target(torch.tensor([[0.0, 0.4]]), torch.tensor([0])),
    Target(torch.tensor([[0.6, 0.8], [0.0, 0.8]]), torch.tensor([1, 0])),
]


def output(actionness: torch.Tensor | None, valid: torch.Tensor | None = None) -> DetectorOutput:
    everyone = torch.ones(2, 2, dtype=torch.bool) if valid is None else valid
    return DetectorOutput((SetPrediction(SEGMENTS, torch.zeros(2, 2, 2), everyone, actionness),))


@pytest.mark.parametrize(
    ("truth", "best"),
    [
        # tIoU of each segment with its own sample's truth, and with that of both.
        ("sample", [[0.8, 0.0], [0.8, 0.125]]),
        ("batch", [[0.8, 1.0], [0.8, 0.25]]),
    ],
)
def test_actionness_is_asked_for_the_best_tiou(truth: str, best: list[list[float]]) -> None:
    config = TadTRLossConfig(actionness_truth=truth)
    logits = torch.tensor([[0.0, 1.0], [2.0, -1.0]], requires_grad=True)
    losses = TadTRCriterion(config)(output(logits), TARGETS)
    expected = (logits.detach().sigmoid() - torch.tensor(best)).abs().mean()
    torch.testing.assert_close(losses["actionness"], expected)
    without = TadTRCriterion(config)(output(None), TARGETS)
    torch.testing.assert_close(losses["total"], without["total"] + 4 * expected)
    assert "actionness" not in without


def test_queries_that_hold_nothing_do_not_count() -> None:
    valid = torch.tensor([[True, False], [True, True]])
    logits = torch.tensor([[0.0, 9.0], [0.0, 0.0]])
    losses = TadTRCriterion(TadTRLossConfig())(output(logits, valid), TARGETS)
    expected = (abs(0.5 - 0.8) + (abs(0.5 - 0.8) + abs(0.5 - 0.125)) / 2) / 2
    assert losses["actionness"].item() == pytest.approx(expected)


def test_a_sample_without_an_action_asks_for_none() -> None:
    nothing = Target(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))
    losses = TadTRCriterion(TadTRLossConfig())(output(torch.zeros(2, 2)), [nothing, nothing])
    assert losses["actionness"].item() == pytest.approx(0.5)


def test_counts_are_of_targets_and_of_samples() -> None:
    normaliser = TadTRCriterion(TadTRLossConfig()).normaliser
    assert normaliser.count(torch.zeros(2, 9, dtype=torch.bool), TARGETS) == (3.0, 2.0)
    assert [float(one) for one in normaliser.divisors(torch.tensor([0.0, 2.0]))] == [1.0, 2.0]
