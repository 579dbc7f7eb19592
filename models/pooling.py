"""What features are on average over segments, from prefix sums: one look-up for each end, however long they are."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.levels import Tokens


def segment_means(tokens: Tokens, segments: Tensor) -> Tensor:
    """The mean of the finest level's features over each segment, tokens at its ends counting by their part.

    A segment shorter than a token becomes one token long, around its centre. What lies outside the valid part counts
    for nothing, and of a segment with less than half a token inside, the mean fades to zero.

    Args:
        tokens: features `[B, S, C]`.
        segments: `[B, Q, 2]` (start, end), [0, 1] being the valid part; they may stick out.
    Returns:
        `[B, Q, C]`, with a gradient for the features alone.
    """
    length = tokens.lengths[0]
    features, padding = tokens.features[:, :length], tokens.padding_mask[:, :length]
    # float32, for under autocast the sums of long sequences would lose what single tokens add.
    sums = F.pad(features.float().masked_fill(padding[..., None], 0.0).cumsum(dim=1), (0, 0, 1, 0))
    valid = (~padding).sum(dim=1, keepdim=True).float()
    start, end = (segments.detach().float() * valid[..., None]).unbind(-1)
    centre, half = (start + end) / 2, ((end - start) / 2).clamp(min=0.5)
    zero = torch.zeros_like(valid)
    start, end = (torch.clamp(edge, zero, valid) for edge in (centre - half, centre + half))
    means = (_at(sums, end) - _at(sums, start)) / (end - start).clamp(min=0.5)[..., None]
    return means.to(features.dtype)


def _at(sums: Tensor, place: Tensor) -> Tensor:
    """Prefix sums `[B, T + 1, C]` at places `[B, Q]` between tokens, `[B, Q, C]`."""
    before = place.floor().clamp(max=sums.shape[1] - 2)
    index = before.long()[..., None].expand(-1, -1, sums.shape[-1])
    return torch.lerp(sums.gather(1, index), sums.gather(1, index + 1), (place - before)[..., None])
