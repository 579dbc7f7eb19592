"""Arithmetic on segments. The last dimension is 2: (start, end), or (centre, width) where a name says so."""

import torch
from torch import Tensor


def to_centre_width(segments: Tensor) -> Tensor:
    """(start, end) `[..., 2]` to (centre, width) `[..., 2]`."""
    start, end = segments.unbind(-1)
    return torch.stack(((start + end) / 2, end - start), dim=-1)


def to_start_end(boxes: Tensor) -> Tensor:
    """(centre, width) `[..., 2]` to (start, end) `[..., 2]`; nothing is clamped."""
    centre, width = boxes.unbind(-1)
    return torch.stack((centre - width / 2, centre + width / 2), dim=-1)


def tiou(left: Tensor, right: Tensor) -> Tensor:
    """Temporal intersection over union of paired segments.

    Args:
        left, right: (start, end) `[..., 2]`, broadcast against each other.
    Returns:
        `[...]` in [0, 1]. A reversed segment counts as empty, and an empty union gives 0.
    """
    overlap = torch.minimum(left[..., 1], right[..., 1]) - torch.maximum(left[..., 0], right[..., 0])
    overlap = overlap.clamp(min=0)
    lengths = (left[..., 1] - left[..., 0]).clamp(min=0) + (right[..., 1] - right[..., 0]).clamp(min=0)
    return overlap / (lengths - overlap).clamp(min=torch.finfo(lengths.dtype).eps)


def pairwise_tiou(left: Tensor, right: Tensor) -> Tensor:
    """`tiou` of every pair: (start, end) `[..., N, 2]` and `[..., M, 2]` to `[..., N, M]`."""
    return tiou(left[..., :, None, :], right[..., None, :, :])


def inverse_sigmoid(probability: Tensor, eps: float = 1e-5) -> Tensor:
    """The logit of `probability`, which is first brought into [eps, 1 - eps]."""
    return torch.logit(probability, eps=eps)
