"""The Trident head's reading: a boundary is the mean of a distribution over the tokens beside a point (TriDet, 3.3)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def trident_distances(starts: Tensor, ends: Tensor, around: Tensor) -> Tensor:
    """How far the boundaries of each class lie from every point, in tokens of their level.

    The start lies on one of the tokens t - bins, ..., t, by a softmax over their start logits plus what the point's
    centre adds; the end on one of t, ..., t + bins. Beyond the sequence logits are 0, as they must be in its padding.

    Args:
        starts, ends: logits of tokens `[B, T, K]`.
        around: what the centre adds `[B, T, K, 2, bins + 1]` in the order of time, to the start and to the end; K or 1
            classes.
    Returns:
        `[B, T, K, 2]`, each in [0, bins].
    """
    bins = around.shape[-1] - 1
    steps = torch.arange(bins + 1, device=starts.device, dtype=starts.dtype)
    before = F.pad(starts, (0, 0, bins, 0)).unfold(1, bins + 1, 1)  # [B, T, K, bins + 1]
    after = F.pad(ends, (0, 0, 0, bins)).unfold(1, bins + 1, 1)
    left = (before + around[..., 0, :]).softmax(-1) @ steps.flip(0)
    right = (after + around[..., 1, :]).softmax(-1) @ steps
    return torch.stack((left, right), dim=-1)
