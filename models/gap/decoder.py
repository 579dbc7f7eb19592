"""Conditional DETR's decoder: where a query looks and what it looks for are kept apart (Meng et al., ICCV 2021)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.gap.config import GAPConfig
from models.positions import sine_embedding
from models.transformer import MLP, FeedForward


class ConditionalDecoder(nn.Module):
    """Learned queries read tokens; each keeps its own place in time, which scales with what it has found."""

    def __init__(self, config: GAPConfig) -> None:
        super().__init__()
        dim = config.dim
        self.position = nn.Parameter(torch.randn(config.num_queries, dim))
        self.place = MLP(dim, dim, 1, num_layers=2)
        self.query_scale = MLP(dim, dim, dim, num_layers=2)
        self.layers = nn.ModuleList(
            ConditionalDecoderLayer(config, first=layer == 0) for layer in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, memory: Tensor, memory_position: Tensor, padding_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Decode.

        Args:
            memory, memory_position: `[B, T, dim]`.
            padding_mask: `[B, T]`, True = padding.
        Returns:
            Contents of the queries `[B, Q, dim]`, and their places `[B, Q, 1]` in [0, 1] of the valid part.
        """
        batch = len(memory)
        with torch.autocast(memory.device.type, enabled=False):  # a reference needs full precision
            place = self.place(self.position).sigmoid()
            place_embedding = sine_embedding(place[:, 0], self.position.shape[1])
        position = self.position.expand(batch, -1, -1)
        content = torch.zeros_like(position)
        # Finite: with -inf, a sample that is all padding would turn into NaN.
        penalty = torch.zeros_like(padding_mask, dtype=memory.dtype).masked_fill(padding_mask, -1e9)
        for index, layer in enumerate(self.layers):
            sine = place_embedding.to(memory.dtype).expand(batch, -1, -1)
            if index > 0:
                sine = sine * self.query_scale(content)
            content = layer(content, position, sine, memory, memory_position, penalty[:, None, None, :])
        return self.norm(content), place.expand(batch, -1, -1)


class ConditionalDecoderLayer(nn.Module):
    """Self-attention, cross-attention of content and place side by side, and a feed-forward block; post-norm.

    The first layer, whose contents are empty, adds the queries' own positions to what they look for.
    """

    def __init__(self, config: GAPConfig, first: bool) -> None:
        super().__init__()
        dim = config.dim
        self.num_heads = config.num_heads
        self.attention_dropout = config.dropout
        self.self_query, self.self_query_position, self.self_key, self.self_key_position = _linear(dim, 4)
        self.self_value, self.self_output = _linear(dim, 2)
        self.self_norm = nn.LayerNorm(dim)
        self.query, self.query_sine, self.key, self.key_position = _linear(dim, 4)
        self.value, self.output = _linear(dim, 2)
        self.query_position = nn.Linear(dim, dim) if first else None
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(config.dropout)
        self.feed_forward = FeedForward(dim, config.ffn_dim, config.dropout)

    def forward(
        self,
        content: Tensor,
        position: Tensor,
        sine: Tensor,
        memory: Tensor,
        memory_position: Tensor,
        penalty: Tensor,
    ) -> Tensor:
        """`content`, `position` and `sine [B, Q, dim]`, memory `[B, T, dim]`, `penalty [B, 1, 1, T]` of its padding."""
        found = self._attend(
            self._heads(self.self_query(content) + self.self_query_position(position)),
            self._heads(self.self_key(content) + self.self_key_position(position)),
            self._heads(self.self_value(content)),
            None,
        )
        content = self.self_norm(content + self.dropout(self.self_output(found)))

        key_position = self.key_position(memory_position)
        query, key = self.query(content), self.key(memory)
        if self.query_position is not None:
            query, key = query + self.query_position(position), key + key_position
        found = self._attend(
            torch.cat((self._heads(query), self._heads(self.query_sine(sine))), dim=-1),
            torch.cat((self._heads(key), self._heads(key_position)), dim=-1),
            self._heads(self.value(memory)),
            penalty.to(query.dtype),
        )
        content = self.norm(content + self.dropout(self.output(found)))
        return self.feed_forward(content)

    def _heads(self, x: Tensor) -> Tensor:
        """`[B, N, dim]` to `[B, H, N, dim / H]`."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, penalty: Tensor | None) -> Tensor:
        dropout = self.attention_dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=penalty, dropout_p=dropout)
        return attended.transpose(1, 2).flatten(2)


def _linear(dim: int, count: int) -> list[nn.Linear]:
    layers = [nn.Linear(dim, dim) for _ in range(count)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
    return layers
