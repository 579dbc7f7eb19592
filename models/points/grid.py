"""Where the points of a pyramid stand: point i of level l on token i * 2^l, without an offset of half a step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.detection import DetectorOutput, PointPrediction, SetPrediction


def level_lengths(num_tokens: int, num_levels: int) -> tuple[int, ...]:
    """The lengths of the levels of a pyramid over `num_tokens` tokens: ceil(T / 2^l)."""
    return tuple(-(-num_tokens // 2**level) for level in range(num_levels))


def grid(lengths: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Places and strides of all points, in tokens of the first level, the finest first: `[P]` float32 each."""
    places = [torch.arange(length, device=device) * 2.0**level for level, length in enumerate(lengths)]
    strides = [
        torch.full((length,), 2.0**level, device=device, dtype=torch.float32)
        for level, length in enumerate(lengths)
    ]
    return torch.cat(places), torch.cat(strides)


def valid_tokens(padding_mask: Tensor) -> Tensor:
    """How many tokens of each sample are none of padding, at least 1: `[B, T]` to `[B]` float32."""
    return (~padding_mask).sum(dim=1).clamp(min=1).float()


def as_output(points: PointPrediction) -> DetectorOutput:
    """A point detector's output: its points, and their segments in [0, 1] of each sample's valid part.

    Token t of n lies at (t + 0.5) / n, so that ActionFormer's grid, `(seconds * fps - window / 2) / stride`, is the
    tokens of the features' timeline.
    """
    place, stride = grid(points.lengths, points.logits.device)
    count = valid_tokens(points.padding_mask[:, : points.lengths[0]])
    distances = points.distances.float()
    shape = (1, -1) + (1,) * (distances.ndim - 3)
    before, after = (distances * stride.view(*shape, 1)).unbind(-1)
    centre = place.view(shape) + 0.5
    segments = torch.stack((centre - before, centre + after), dim=-1)
    segments = segments / count.view(-1, *(1,) * (segments.ndim - 1))
    return DetectorOutput((SetPrediction(segments, points.logits, ~points.padding_mask),), points=points)
