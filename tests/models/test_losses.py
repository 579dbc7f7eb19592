import math

import pytest
import torch

from models.loss_config import TermWeights
from models.losses import l1_loss, sigmoid_focal_loss, tiou_loss


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.6, 0.0)])
def test_focal_loss_by_hand(alpha: float, gamma: float) -> None:
    logits = torch.tensor([-3.0, -0.5, 0.0, 2.0])
    for target in (0.0, 1.0):
        found = sigmoid_focal_loss(logits, torch.full_like(logits, target), alpha, gamma)
        for logit, value in zip(logits.tolist(), found.tolist(), strict=True):
            p = 1 / (1 + math.exp(-logit))
            positive = -alpha * (1 - p) ** gamma * math.log(p)
            negative = -(1 - alpha) * p**gamma * math.log(1 - p)
            assert value == pytest.approx(positive if target else negative, rel=1e-5)


def test_focal_loss_and_gradient_are_finite_for_extreme_logits() -> None:
    logits = torch.tensor([-1e4, 1e4, -1e4, 1e4], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([0.0, 1.0, 1.0, 0.0]), 0.25, 2.0)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_l1_in_both_forms() -> None:
    predicted, truth = torch.tensor([0.1, 0.5]), torch.tensor([0.2, 0.3])
    assert l1_loss(predicted, truth, "start_end").item() == pytest.approx(0.1 + 0.2)
    assert l1_loss(predicted, truth, "centre_width").item() == pytest.approx(0.05 + 0.3)


def test_tiou_loss_cuts_predictions_at_the_window() -> None:
    truth = torch.tensor([0.0, 0.5])
    assert tiou_loss(torch.tensor([-0.4, 0.5]), truth).item() == pytest.approx(0.0)
    assert tiou_loss(torch.tensor([0.25, 0.75]), truth).item() == pytest.approx(1 - 0.25 / 0.75)
    assert tiou_loss(torch.tensor([0.6, 0.9]), truth).item() == pytest.approx(1.0)


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="l1=-1"):
        TermWeights(classification=1, l1=-1, tiou=1)
