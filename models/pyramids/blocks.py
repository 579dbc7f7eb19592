"""A pyramid of blocks, each of which makes a level from the level before."""

from collections.abc import Sequence

from torch import Tensor, nn

from models.levels import Level


class BlockPyramid(nn.Module):
    """`stem` makes level 1 from the features (without one they are it), each branch a further level.

    A block takes and gives a `Level` that is zero in padding.
    """

    def __init__(self, stem: Sequence[nn.Module], branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.stem = nn.ModuleList(stem)
        self.branches = nn.ModuleList(branches)

    def forward(self, features: Tensor, padding_mask: Tensor) -> list[Level]:
        """`features [B, T, C]`, any T from 1 on, and `padding_mask [B, T]` to levels, the finest first."""
        level = Level(features, padding_mask).zeroed()
        for block in self.stem:
            level = block(level)
        levels = [level]
        for block in self.branches:
            levels.append(block(levels[-1]))
        return levels


def gelu_feed_forward(dim: int, hidden_dim: int, dropout: float) -> nn.Sequential:
    """Two linear layers with GELU on `[B, T, dim]`, as pyramids have it; biases start at zero."""
    expand, contract = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)
    for layer in (expand, contract):
        nn.init.zeros_(layer.bias)
    return nn.Sequential(expand, nn.GELU(), nn.Dropout(dropout), contract, nn.Dropout(dropout))
