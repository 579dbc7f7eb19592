"""Deformable attention along time: a query looks at a few places of its own choice (DualDETR, Eq. 1)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DeformableAttention(nn.Module):
    """Multi-scale deformable attention in one dimension.

    Each of `num_heads` heads reads `num_points` places on each of `num_levels` levels by linear interpolation
    and sums what it finds, weighted by a softmax over all its places. Places in padding or outside the level
    read zero, and the weights are not renormalised for it.

    Initialised to uniform weights and to offsets that do not depend on the query: point k (from 1) of a head
    lies k * d tokens away, where d falls evenly from 1 for the first head to -1 for the last (unstated in the
    papers; the cosines of the pictures' attention would leave half of four heads with all points in one
    place). A head that is alone looks ahead with every other point, and back with the rest.

    Args:
        dim: channels of query and output; a multiple of `num_heads`.
        value_dim: channels of value; `dim` unless given.
    """

    def __init__(
        self, dim: int, num_heads: int, num_levels: int, num_points: int, value_dim: int | None = None
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"num_heads={num_heads} must divide dim={dim}")
        self.num_heads = num_heads
        self.num_levels = num_levels
        self.num_points = num_points
        places = num_heads * num_levels * num_points
        self.sampling_offsets = nn.Linear(dim, places)
        self.attention_weights = nn.Linear(dim, places)
        self.value_proj = nn.Linear(dim if value_dim is None else value_dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        distance = torch.arange(1, self.num_points + 1)
        direction = torch.linspace(1, -1, self.num_heads)[:, None, None]
        if self.num_heads == 1:  # it has to look both ways
            direction = 1 - 2 * (distance + 1).remainder(2)
        offsets = direction * distance.expand(self.num_heads, self.num_levels, -1)
        nn.init.zeros_(self.sampling_offsets.weight)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.flatten())
        for projection in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def forward(
        self,
        query: Tensor,
        reference: Tensor,
        value: Tensor,
        level_lengths: Sequence[int],
        padding_mask: Tensor,
    ) -> Tensor:
        """Read `value` around the references.

        Args:
            query: `[B, Q, C]`, position embedding included.
            reference: `[B, Q, L, 1]` places or `[B, Q, L, 2]` (centre, width), for each level in [0, 1] of
                its *padded* length: the caller multiplies by the valid ratio (`Tokens.scale`). Around a place
                an offset counts tokens; around a (centre, width), `num_points` of it make half a width.
            value: `[B, S, value_dim]`, the levels one after the other.
            level_lengths: the `L` padded lengths `T_l`, which add up to `S`.
            padding_mask: `[B, S]`, True = padding.
        Returns:
            `[B, Q, C]`.
        """
        batch, num_tokens, _ = value.shape
        heads, levels, points = self.num_heads, self.num_levels, self.num_points
        if len(level_lengths) != levels or sum(level_lengths) != num_tokens:
            raise ValueError(f"{num_tokens} tokens are not {levels} levels of lengths {tuple(level_lengths)}")
        # Masked after the projection, so that padding does not even contribute the bias.
        value = self.value_proj(value).masked_fill(padding_mask[..., None], 0.0)
        shape = (batch, query.shape[1], heads, levels, points)
        offset = self.sampling_offsets(query).view(shape)
        weight = self.attention_weights(query).view(*shape[:3], levels * points).softmax(-1).view(shape)

        # Places in at least float32: bfloat16 cannot tell neighbouring tokens of a long sequence apart.
        reference = reference.to(torch.promote_types(reference.dtype, torch.float32))
        length = torch.tensor(level_lengths, device=value.device)[:, None]
        place = reference[:, :, None, :, None, :] * length[..., None]
        if reference.shape[-1] == 2:
            place = place[..., 0] + offset / points * place[..., 1] / 2
        else:
            place = place[..., 0] + offset
        sampled = _interpolate(value.view(batch, num_tokens, heads, -1), place - 0.5, weight, length)
        return self.output_proj(sampled.to(value.dtype))


def _interpolate(value: Tensor, index: Tensor, weight: Tensor, length: Tensor) -> Tensor:
    """Weighted sum of linear interpolations of `value` at fractional token indices, zero outside a level.

    Args:
        value: `[B, S, M, D]`.
        index: `[B, Q, M, L, K]`, within its level.
        weight: `[B, Q, M, L, K]`.
        length: `[L, 1]`, the levels' lengths.
    Returns:
        `[B, Q, M * D]` in the precision of `index * weight`.
    """
    batch, num_tokens, heads, _ = value.shape
    left = index.detach().floor()
    neighbour = torch.stack((left, left + 1), dim=-1)
    fraction = index - left
    share = torch.stack((1 - fraction, fraction), dim=-1) * weight[..., None]
    share = share * ((neighbour >= 0) & (neighbour < length[..., None]))

    level_start = length.cumsum(0) - length
    # Brought inside as floats: a place far away would overflow an integer, and a NaN (which stays in `share`)
    # must become an error that can be told, not a read of foreign memory.
    inside = torch.minimum(neighbour.nan_to_num(0.0).clamp(min=0), length[..., None] - 1)
    token = inside.int() + level_start[..., None].int()
    sample = torch.arange(batch, device=value.device, dtype=torch.int32)[:, None, None, None, None, None]
    head = torch.arange(heads, device=value.device, dtype=torch.int32)[:, None, None, None]
    row = (sample * num_tokens + token) * heads + head
    # One bag is all that one head of one query reads, gathered and summed in one pass: the gathered rows are
    # never stored, not for the backward pass either (which sorts the row numbers: int32 sorts faster).
    read = F.embedding_bag(
        row.flatten(3).flatten(0, 2),
        value.to(share.dtype).flatten(0, 2),
        per_sample_weights=share.flatten(3).flatten(0, 2),
        mode="sum",
    )
    return read.view(batch, index.shape[1], -1)
