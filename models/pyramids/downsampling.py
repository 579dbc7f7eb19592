"""Half the temporal resolution: T tokens become ceil(T / 2), each around an even token of the level before."""

import torch
import torch.nn.functional as F

from models.levels import Level


def nearest(level: Level) -> Level:
    """Keep each second token (TP2-DETR, Eq. 2 and 11)."""
    return Level(level.features[:, ::2], level.padding_mask[:, ::2])


def max_pool(level: Level) -> Level:
    """The maximum of each second token and its two neighbours (TP2-DETR, Eq. 8); padding has no say."""
    features = level.features.masked_fill(level.padding_mask[..., None], -torch.inf)
    pooled = F.max_pool1d(features.mT, kernel_size=3, stride=2, padding=1).mT
    return Level(pooled, level.padding_mask[:, ::2]).zeroed()
