"""Salience heads: foreground or not, at every token of the finest level, for early supervision (TP2-DETR 3.2)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from models.detection import Salience
from models.levels import Level
from models.tp2detr.config import TP2DETRConfig
from models.transformer import MLP

Upsampling = Literal["nearest", "linear"]
Fusion = Literal["max", "mean", "adaptive"]


class SalienceHeads(nn.Module):
    """A head for each place that is supervised early, or one for all of them."""

    def __init__(self, config: TP2DETRConfig) -> None:
        super().__init__()
        heads = 2 if config.salience_on == "both" and not config.share_salience_head else 1
        self.heads = nn.ModuleList(_head(config) for _ in range(heads))

    def forward(self, places: dict[str, Sequence[Level]]) -> dict[str, Salience]:
        """The levels found at each place, the finest first, to foreground logits at the finest."""
        return {
            place: Salience(self.heads[index % len(self.heads)](levels), levels[0].padding_mask)
            for index, (place, levels) in enumerate(places.items())
        }


def _head(config: TP2DETRConfig) -> nn.Module:
    dim, levels, upsampling = config.dim, config.num_levels, config.salience_upsampling
    match config.salience_head:
        case "mlp":
            return UnifiedMLP(dim, levels, upsampling)
        case "cnn_max":
            return FusedCNNs(dim, levels, upsampling, "max")
        case "cnn_mean":
            return FusedCNNs(dim, levels, upsampling, "mean")
        case "cnn_adaptive":
            return FusedCNNs(dim, levels, upsampling, "adaptive")


class UnifiedMLP(nn.Module):
    """One MLP on the channels of all levels side by side (TP2-DETR, Algorithm 1)."""

    def __init__(self, dim: int, num_levels: int, upsampling: Upsampling) -> None:
        super().__init__()
        self.upsampling = upsampling
        self.mlp = MLP(num_levels * dim, dim, 1, num_layers=2)

    def forward(self, levels: Sequence[Level]) -> Tensor:
        """Logits `[B, T]`, T tokens of the finest level."""
        features = [level.features for level in upsample(levels, self.upsampling)]
        return self.mlp(torch.cat(features, dim=-1)).squeeze(-1)


class FusedCNNs(nn.Module):
    """For each level the CNN that GAP has, and one score of theirs (TP2-DETR, Table 3).

    The "adaptive" score is a mean with a weight learned for each level, positive and 1 in all; the weights
    start equal.
    """

    def __init__(self, dim: int, num_levels: int, upsampling: Upsampling, fusion: Fusion) -> None:
        super().__init__()
        self.upsampling = upsampling
        self.fusion = fusion
        self.cnns = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(dim, dim, kernel_size=3, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv1d(dim, 1, kernel_size=1),
            )
            for _ in range(num_levels)
        )
        if fusion == "adaptive":
            self.level_weights = nn.Parameter(torch.zeros(num_levels))

    def forward(self, levels: Sequence[Level]) -> Tensor:
        """Logits `[B, T]`, T tokens of the finest level."""
        scores = [
            Level(cnn(level.zeroed().features.mT).mT, level.padding_mask)
            for cnn, level in zip(self.cnns, levels, strict=True)
        ]
        stacked = torch.cat([level.features for level in upsample(scores, self.upsampling)], dim=-1)
        match self.fusion:
            case "max":
                return stacked.amax(dim=-1)
            case "mean":
                return stacked.mean(dim=-1)
            case "adaptive":
                return stacked @ self.level_weights.softmax(dim=0).to(stacked.dtype)


def upsample(levels: Sequence[Level], how: Upsampling) -> list[Level]:
    """All levels of a pyramid at the resolution of the finest, level l being 2^l times coarser.

    A token of the finest level takes the coarse token over it ("nearest"), or what lies between the centres of
    the two coarse tokens beside it, which may be one at either end of the valid part ("linear").
    """
    finest = levels[0]
    token = torch.arange(finest.features.shape[1], device=finest.features.device)
    if how == "nearest":
        return [
            Level(level.features[:, token // 2**step], finest.padding_mask)
            for step, level in enumerate(levels)
        ]
    return [
        Level(_between(level, (token + 0.5) / 2**step - 0.5), finest.padding_mask)
        for step, level in enumerate(levels)
    ]


def _between(level: Level, place: Tensor) -> Tensor:
    """Linear interpolation of a level at fractional token indices `place [T]`: `[B, T, C]`."""
    last = (~level.padding_mask).sum(dim=1, keepdim=True).clamp(min=1) - 1
    left = place.floor()
    share = (place - left)[:, None].to(level.features.dtype)
    sample = torch.arange(len(last), device=last.device)[:, None]

    def tokens(index: Tensor) -> Tensor:
        return level.features[sample, torch.minimum(index.long().clamp(min=0), last)]

    return tokens(left) * (1 - share) + tokens(left + 1) * share
