"""One feature sequence at several temporal resolutions: what pyramids give and deformable attention reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Level:
    """One resolution: `features [B, T, C]` and `padding_mask [B, T]` (True = padding, at the end)."""

    features: Tensor
    padding_mask: Tensor

    def zeroed(self) -> "Level":
        """The same level, with zeros for whatever its padding holds."""
        return Level(self.features.masked_fill(self.padding_mask[..., None], 0.0), self.padding_mask)


@dataclass(frozen=True)
class Tokens:
    """All levels in one sequence, the finest first.

    Attributes:
        features: `[B, S, C]` with `S = sum(lengths)`.
        padding_mask: `[B, S]`, True = padding.
        lengths: the padded length `T_l` of each level.
        valid_ratios: `[B, L]` float32, the part of each level that is not padding.
    """

    features: Tensor
    padding_mask: Tensor
    lengths: tuple[int, ...]
    valid_ratios: Tensor

    def scale(self, reference: Tensor) -> Tensor:
        """References in [0, 1] of the valid part, as deformable attention wants them for each padded level.

        `[B, Q, 1]` (position) or `[B, Q, 2]` (centre, width) to `[B, Q, L, 1 or 2]`.
        """
        return reference[:, :, None, :] * self.valid_ratios[:, None, :, None]


def flatten(levels: Sequence[Level]) -> Tokens:
    """Put the levels of a pyramid one after the other."""
    return Tokens(
        features=torch.cat([level.features for level in levels], dim=1),
        padding_mask=torch.cat([level.padding_mask for level in levels], dim=1),
        lengths=tuple(level.features.shape[1] for level in levels),
        valid_ratios=valid_ratios([level.padding_mask for level in levels]),
    )


def unflatten(tokens: Tokens) -> list[Level]:
    """The levels that the tokens are of."""
    features = tokens.features.split(tokens.lengths, dim=1)
    masks = tokens.padding_mask.split(tokens.lengths, dim=1)
    return [Level(*level) for level in zip(features, masks, strict=True)]


def valid_ratios(padding_masks: Sequence[Tensor]) -> Tensor:
    """The part of each level that is not padding: `L` masks `[B, T_l]` to `[B, L]` float32."""
    return torch.stack([(~mask).float().mean(dim=1) for mask in padding_masks], dim=1)
