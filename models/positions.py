"""Where a token or a query stands, as a vector."""

import math

import torch
from torch import Tensor


def sine_positions(padding_mask: Tensor, dim: int, temperature: float = 10000.0) -> Tensor:
    """Sine embedding of each token's place within the valid part of its sequence.

    The place of the i-th valid token of n is (i + 0.5) / n, times 2 pi; even channels take the sine and odd
    ones the cosine, at frequencies that fall geometrically from 1 to 1 / `temperature`. How much padding
    follows does not matter. Follows TP2-DETR's released code (unstated in the paper).

    Args:
        padding_mask: `[B, T]`, True = padding.
        dim: channels of the embedding, even.
    Returns:
        `[B, T, dim]` float32.
    """
    valid = ~padding_mask
    count = valid.sum(dim=1, keepdim=True)
    return sine_embedding((valid.cumsum(dim=1) - 0.5) / (count + 1e-6), dim, temperature)


def sine_embedding(place: Tensor, dim: int, temperature: float = 10000.0) -> Tensor:
    """The same embedding of any number in [0, 1], such as a query's position: `[...]` to `[..., dim]`."""
    pair = torch.arange(0, dim, 2, device=place.device, dtype=torch.float32)
    angle = (place * (2 * math.pi))[..., None] / temperature ** (pair / dim)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2)
