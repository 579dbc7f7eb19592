"""The pyramid of local self-attention, after ActionFormer; "Transformer-based" in TP2-DETR."""

from functools import partial

import torch
from torch import Tensor, nn

from models.levels import Level
from models.local_attention import local_attention
from models.pyramids.blocks import BlockPyramid, gelu_feed_forward
from models.pyramids.choices import Downsampling
from models.pyramids.downsampling import max_pool, nearest


def transformer_pyramid(
    *,
    dim: int,
    num_levels: int,
    num_heads: int,
    ffn_dim: int,
    window: int,
    dropout: float,
    alpha: float,
    learnable_alpha: bool,
    stem: bool,
    downsampling: Downsampling,
) -> BlockPyramid:
    """A pre-norm transformer block from level to level (TP2-DETR, Eq. 9 to 11), and one before with `stem`."""
    block = partial(
        TransformerBlock,
        dim=dim,
        num_heads=num_heads,
        ffn_dim=ffn_dim,
        window=window,
        dropout=dropout,
        alpha=alpha,
        learnable_alpha=learnable_alpha,
    )
    return BlockPyramid(
        stem=[block(downsampling=None)] if stem else [],
        branches=[block(downsampling=downsampling) for _ in range(num_levels - 1)],
    )


class TransformerBlock(nn.Module):
    """y = x + alpha * attention(LN(x)), then y + alpha * feed_forward(LN(y)).

    `before`: what attends is every second token, and max-pooling brings x to their resolution (the released
    code). `after`: every second token of the result is kept (Eq. 11). None keeps the resolution.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_heads: int,
        ffn_dim: int,
        window: int,
        dropout: float,
        alpha: float,
        learnable_alpha: bool,
        downsampling: Downsampling | None,
    ) -> None:
        super().__init__()
        self.downsampling = downsampling
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = LocalSelfAttention(dim, num_heads, window, dropout)
        self.attention_scale = ResidualScale(dim, alpha, learnable_alpha)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = gelu_feed_forward(dim, ffn_dim, dropout)
        self.feed_forward_scale = ResidualScale(dim, alpha, learnable_alpha)

    def forward(self, level: Level) -> Level:
        normed = Level(self.attention_norm(level.features), level.padding_mask)
        if self.downsampling == "before":
            normed, level = nearest(normed), max_pool(level)
        x = level.features + self.attention_scale(self.attention(normed))
        x = x + self.feed_forward_scale(self.feed_forward(self.feed_forward_norm(x)))
        level = Level(x, level.padding_mask).zeroed()
        return nearest(level) if self.downsampling == "after" else level


class LocalSelfAttention(nn.Module):
    """Multi-head self-attention to the neighbours in a window; query, key and value are normalised apart."""

    def __init__(self, dim: int, num_heads: int, window: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.query_norm, self.key_norm, self.value_norm = (nn.LayerNorm(dim) for _ in range(3))
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.dropout = nn.Dropout(dropout)
        for projection in (self.query, self.key, self.value, self.output):
            nn.init.zeros_(projection.bias)

    def forward(self, level: Level) -> Tensor:
        """`[B, T, dim]`; what it holds in padding means nothing."""
        query, key, value = (
            projection(norm(level.features)).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projection, norm in (
                (self.query, self.query_norm),
                (self.key, self.key_norm),
                (self.value, self.value_norm),
            )
        )
        attended = local_attention(query, key, value, level.padding_mask, self.window)
        return self.dropout(self.output(attended.transpose(1, 2).flatten(2)))


class ResidualScale(nn.Module):
    """The factor alpha on what a block adds (TP2-DETR, Eq. 9 and 10), one number or learned for each channel."""

    def __init__(self, dim: int, alpha: float, learnable: bool) -> None:
        super().__init__()
        self.alpha: Tensor | float = nn.Parameter(torch.full((dim,), alpha)) if learnable else alpha

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha * x
