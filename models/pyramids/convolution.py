"""The pyramid of strided convolutions, "CNN-based" in TP2-DETR."""

import torch.nn.functional as F
from torch import nn

from models.levels import Level
from models.pyramids.blocks import BlockPyramid


def convolution_pyramid(dim: int, num_levels: int, stem: bool) -> BlockPyramid:
    """LN(Conv(x)) from level to level (TP2-DETR, Eq. 3).

    Args:
        dim: channels.
        num_levels: levels.
        stem: make level 1 by two convolutions and two residual blocks, as the released code does (Eq. 3
            speaks of none).
    """
    return BlockPyramid(
        stem=[
            Convolution(dim, dim),
            Convolution(dim, dim),
            ResidualConvolution(dim),
            ResidualConvolution(dim),
        ]
        if stem
        else [],
        branches=[StridedConvolution(dim) for _ in range(num_levels - 1)],
    )


class Convolution(nn.Module):
    """A convolution over three tokens around every token, or every second one; zero in padding."""

    def __init__(self, dim: int, output_dim: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.convolution = nn.Conv1d(dim, output_dim, kernel_size=3, stride=stride, padding=1)
        nn.init.xavier_uniform_(self.convolution.weight)
        assert self.convolution.bias is not None
        nn.init.zeros_(self.convolution.bias)

    def forward(self, level: Level) -> Level:
        features = self.convolution(level.features.mT).mT
        return Level(features, level.padding_mask[:, :: self.stride]).zeroed()


class StridedConvolution(nn.Module):
    """Half the resolution by a convolution, normalised over channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.halve = Convolution(dim, dim, stride=2)
        self.norm = nn.LayerNorm(dim)

    def forward(self, level: Level) -> Level:
        half = self.halve(level)
        return Level(self.norm(half.features), half.padding_mask).zeroed()


class ResidualConvolution(nn.Module):
    """Two convolutions with twice the channels between them, added to their input."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.expand = Convolution(dim, 2 * dim)
        self.contract = Convolution(2 * dim, dim)

    def forward(self, level: Level) -> Level:
        hidden = self.expand(level)
        change = self.contract(Level(F.relu(hidden.features), level.padding_mask))
        return Level(F.relu(level.features + change.features), level.padding_mask)
