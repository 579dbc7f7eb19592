"""The terms of set prediction, for one segment or logit each; sums and weights are the caller's."""

import torch.nn.functional as F
from torch import Tensor

from models.loss_config import SegmentForm
from models.segments import tiou, to_centre_width


def sigmoid_focal_loss(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    """Focal loss of independent sigmoid classes, elementwise.

    -alpha (1 - p)^gamma log p where the target is 1, -(1 - alpha) p^gamma log(1 - p) where it is 0.

    Args:
        logits, targets: same shape; targets are 0 or 1.
    """
    wrong = (logits * (1 - 2 * targets)).sigmoid()  # the probability given to the wrong answer
    balance = alpha * targets + (1 - alpha) * (1 - targets)
    return balance * wrong**gamma * F.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def l1_loss(predicted: Tensor, truth: Tensor, form: SegmentForm) -> Tensor:
    """Sum of the absolute differences of two (start, end) `[..., 2]` in `form`, broadcast: `[...]`."""
    if form == "centre_width":
        predicted, truth = to_centre_width(predicted), to_centre_width(truth)
    return (predicted - truth).abs().sum(-1)


def tiou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 - tIoU of (start, end) `[..., 2]`, broadcast: `[...]`; predictions are clamped to [0, 1]."""
    return 1 - tiou(predicted.clamp(0, 1), truth)
