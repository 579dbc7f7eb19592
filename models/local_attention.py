"""Self-attention within a window: every token sees its neighbours, at a cost that grows linearly with time."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Queries that are answered together, so that short windows, too, make matrix products worth their launch.
_SMALLEST_BLOCK = 32


def local_attention(query: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor, window: int) -> Tensor:
    """Attention of each token to the `window // 2` tokens on either side of it and to itself.

    A block of neighbouring queries, with all keys that any of them sees, is one small dense attention under a
    band mask. With blocks in proportion to the window, time and memory are O(T * window) for any length T.

    Args:
        query, key, value: `[B, H, T, D]`; what they hold in padding must be finite.
        padding_mask: `[B, T]`, True = padding; a padded token is seen by no other.
        window: how many tokens a token sees, odd.
    Returns:
        `[B, H, T, D]`, zero in padding.
    """
    batch, _, length, _ = query.shape
    radius = window // 2
    block = min(max(_SMALLEST_BLOCK, 2 * window), length)
    span = block + 2 * radius
    tail = -length % block

    def blocks(tokens: Tensor, size: int, before: int) -> Tensor:
        """`[B, H, T, D]` to `[B * N, H, size, D]`: block n begins `before` tokens ahead of token n * block."""
        padded = F.pad(tokens, (0, 0, before, before + tail))
        return padded.unfold(2, size, block).permute(0, 2, 1, 4, 3).flatten(0, 1)

    attended = F.scaled_dot_product_attention(
        blocks(query, block, 0),
        blocks(key, span, radius),
        blocks(value, span, radius),
        attn_mask=_visible(padding_mask, block, radius, tail).flatten(0, 1)[:, None],
    )
    whole = attended.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2, 3)[:, :, :length]
    return whole.masked_fill(padding_mask[:, None, :, None], 0.0)


def _visible(padding_mask: Tensor, block: int, radius: int, tail: int) -> Tensor:
    """Which of its block's keys each query sees, `[B, N, block, span]`."""
    span = block + 2 * radius
    index = torch.arange(span, device=padding_mask.device)
    distance = index - index[:block, None] - radius
    ignored = F.pad(padding_mask, (radius, radius + tail), value=True).unfold(1, span, block)
    # Padding sees at least itself: a softmax over nothing is not a number.
    return (distance.abs() <= radius) & (~ignored[:, :, None, :] | (distance == 0))
