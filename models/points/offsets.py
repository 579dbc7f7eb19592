"""Losses of segments that are given by their distances from a point, (to the start, to the end)."""

import torch
from torch import Tensor

_EPS = 1e-8


def offset_iou(predicted: Tensor, truth: Tensor) -> Tensor:
    """The tIoU of segments around the same point, `[..., 2]` distances each, broadcast: `[...]`."""
    inside = torch.minimum(predicted, truth).sum(-1)
    return inside / (predicted.sum(-1) + truth.sum(-1) - inside).clamp(min=_EPS)


def offset_iou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 - tIoU, `[...]`; what 1-D generalised IoU is around a common point, where no gap is between segments."""
    return 1 - offset_iou(predicted, truth)


def offset_diou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 - tIoU, and the squared distance of the centres as part of what encloses both (distance IoU in 1-D)."""
    enclosing = torch.maximum(predicted, truth).sum(-1).clamp(min=_EPS)
    left, right = (predicted - truth).unbind(-1)
    return offset_iou_loss(predicted, truth) + ((right - left) / 2 / enclosing).square()
