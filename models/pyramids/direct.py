"""The parameter-free pyramid: every level keeps each second token of the one before it."""

from torch import Tensor, nn

from models.levels import Level


class DirectPyramid(nn.Module):
    """Nearest-neighbour downsampling by 2, level by level (TP2-DETR, Eq. 2). Level 1 is the input itself.

    A level of T tokens becomes one of ceil(T / 2), so that any length will do and even one token survives.
    """

    def __init__(self, num_levels: int) -> None:
        super().__init__()
        self.num_levels = num_levels

    def forward(self, features: Tensor, padding_mask: Tensor) -> list[Level]:
        """`features [B, T, C]` and `padding_mask [B, T]` to `num_levels` levels, the finest first."""
        return [
            Level(features[:, :: 2**step], padding_mask[:, :: 2**step]) for step in range(self.num_levels)
        ]
