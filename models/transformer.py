"""The deformable transformer: post-norm blocks, and the encoder and decoder layers made of them.

A detector with branches of its own (another width, another order) composes the blocks; each adds its input
back and normalises the sum.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import DeformableAttention
from models.levels import Level, Tokens, flatten
from models.positions import sine_positions


class MLP(nn.Module):
    """`num_layers` linear layers with ReLU between them: `[..., input_dim]` to `[..., output_dim]`."""

    def __init__(self, input_dim: int, hidden_dim: int, output_dim: int, num_layers: int) -> None:
        super().__init__()
        widths = [input_dim] + [hidden_dim] * (num_layers - 1)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.output = nn.Linear(widths[-1], output_dim)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = F.relu(layer(x))
        return self.output(x)


class FeedForward(nn.Module):
    """Two linear layers with ReLU, a post-norm block on `[B, N, dim]`."""

    def __init__(self, dim: int, hidden_dim: int, dropout: float) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, hidden_dim)
        self.contract = nn.Linear(hidden_dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.expand.weight)
        nn.init.xavier_uniform_(self.contract.weight)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(F.relu(self.expand(x)))
        return self.norm(x + self.dropout(self.contract(hidden)))


class SelfAttention(nn.Module):
    """Queries look at each other, a post-norm block. Positions guide where: q = k = x + position, v = x."""

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, num_heads, dropout=dropout, batch_first=True)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        nn.init.xavier_uniform_(self.attention.out_proj.weight)

    def forward(self, x: Tensor, position: Tensor, ignored: Tensor | None = None) -> Tensor:
        """`x` and `position [B, Q, dim]`; `ignored [B, Q]` is True for queries that no other may look at."""
        # A finite penalty: with -inf, a sample whose queries are all ignored would turn into NaN.
        penalty = (
            None if ignored is None else torch.zeros_like(ignored, dtype=x.dtype).masked_fill(ignored, -1e9)
        )
        query = x + position
        attended, _ = self.attention(query, query, x, key_padding_mask=penalty, need_weights=False)
        return self.norm(x + self.dropout(attended))


class DeformableRead(nn.Module):
    """Queries read tokens around their references by deformable attention, a post-norm block.

    Args:
        dim: channels of the queries.
        token_dim: channels of the tokens; `dim` unless given.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        num_levels: int,
        num_points: int,
        dropout: float,
        token_dim: int | None = None,
    ) -> None:
        super().__init__()
        self.attention = DeformableAttention(dim, num_heads, num_levels, num_points, token_dim)
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor, reference: Tensor, tokens: Tokens) -> Tensor:
        """`x` and `position [B, Q, dim]`; `reference [B, Q, 1 or 2]` in [0, 1] of the valid part."""
        attended = self.attention(
            x + position, tokens.scale(reference), tokens.features, tokens.lengths, tokens.padding_mask
        )
        return self.norm(x + self.dropout(attended))


class EncoderLayer(nn.Module):
    """Every token reads around its own place on all levels, then a feed-forward block."""

    def __init__(
        self, dim: int, num_heads: int, ffn_dim: int, num_levels: int, num_points: int, dropout: float
    ) -> None:
        super().__init__()
        self.read = DeformableRead(dim, num_heads, num_levels, num_points, dropout)
        self.feed_forward = FeedForward(dim, ffn_dim, dropout)

    def forward(self, tokens: Tokens, position: Tensor, reference: Tensor) -> Tokens:
        """`position [B, S, dim]` and `reference [B, S, 1]` of the tokens themselves."""
        features = self.read(tokens.features, position, reference, tokens)
        return replace(tokens, features=self.feed_forward(features))


class Encoder(nn.Module):
    """Deformable encoder over the levels of a pyramid.

    Positions (sine, within each level) and a learned level embedding join the queries of every layer, never
    the values. A token's output does not depend on padding; outputs at padded tokens mean nothing.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_heads: int,
        ffn_dim: int,
        num_layers: int,
        num_levels: int,
        num_points: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.level_embedding = nn.Parameter(torch.randn(num_levels, dim))
        self.layers = nn.ModuleList(
            EncoderLayer(dim, num_heads, ffn_dim, num_levels, num_points, dropout) for _ in range(num_layers)
        )

    def forward(self, levels: Sequence[Level]) -> Tokens:
        """`num_levels` levels of `[B, T_l, dim]` to their tokens, encoded."""
        tokens = flatten(levels)
        dim = tokens.features.shape[-1]
        position = torch.cat(
            [
                sine_positions(level.padding_mask, dim).to(level.features.dtype) + embedding
                for level, embedding in zip(levels, self.level_embedding, strict=True)
            ],
            dim=1,
        )
        reference = torch.cat([token_places(level.padding_mask) for level in levels], dim=1)[..., None]
        for layer in self.layers:
            tokens = layer(tokens, position, reference)
        return tokens


def token_places(padding_mask: Tensor) -> Tensor:
    """The centre of each token in [0, 1] of the valid part, (i + 0.5) / n: `[B, T]`; beyond 1 in padding."""
    count = (~padding_mask).sum(dim=1, keepdim=True).clamp(min=1)
    return (torch.arange(padding_mask.shape[1], device=padding_mask.device) + 0.5) / count


class DecoderLayer(nn.Module):
    """Queries look at each other, read the memory around their references, then a feed-forward block."""

    def __init__(
        self, dim: int, num_heads: int, ffn_dim: int, num_levels: int, num_points: int, dropout: float
    ) -> None:
        super().__init__()
        self.self_attention = SelfAttention(dim, num_heads, dropout)
        self.read = DeformableRead(dim, num_heads, num_levels, num_points, dropout)
        self.feed_forward = FeedForward(dim, ffn_dim, dropout)

    def forward(
        self,
        content: Tensor,
        position: Tensor,
        reference: Tensor,
        memory: Tokens,
        ignored: Tensor | None = None,
    ) -> Tensor:
        """One round of decoding.

        Args:
            content, position: `[B, Q, dim]`.
            reference: `[B, Q, 1]` (centre) or `[B, Q, 2]` (centre, width) in [0, 1] of the valid part.
            memory: the encoded tokens.
            ignored: `[B, Q]`, True for queries that no other query may look at.
        Returns:
            The new content `[B, Q, dim]`.
        """
        content = self.self_attention(content, position, ignored)
        content = self.read(content, position, reference, memory)
        return self.feed_forward(content)
