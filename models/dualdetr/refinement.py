"""Mutual refinement: each level corrects the other one (DualDETR 3.5, Eq. 6 and 7, and Table 5)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from models.dualdetr.queries import Contents, Positions, Stream
from models.segments import to_centre_width, to_start_end
from models.transformer import FeedForward

Order = Literal["parallel", "boundary_to_instance", "instance_to_boundary"]


def refine(positions: Positions, order: Order) -> tuple[Positions, Tensor]:
    """Each level takes the mean of its own segment and the other's.

    In parallel both start from the segments before; then they agree afterwards: s' + e' = 2c' and
    e' - s' = d'. In sequence the level that the order names first is refined first, and the other one by what
    came of it.

    Returns:
        The refined positions, which may stick out of the window, and the segments `[B, Q, 2]` that they
        stand for: the one that both levels share, or that of the level refined last.
    """
    boundary, instance = positions.boundary, positions.instance
    match order:
        case "parallel":
            refined = Positions(
                (boundary + to_start_end(instance)) / 2, (instance + to_centre_width(boundary)) / 2
            )
            return refined, refined.boundary
        case "boundary_to_instance":
            boundary = (boundary + to_start_end(instance)) / 2
            instance = (instance + to_centre_width(boundary)) / 2
            return Positions(boundary, instance), to_start_end(instance)
        case "instance_to_boundary":
            instance = (instance + to_centre_width(boundary)) / 2
            boundary = (boundary + to_start_end(instance)) / 2
            return Positions(boundary, instance), boundary


class ContentRefinement(nn.Module):
    """The contents of aligned queries, side by side through one feed-forward block (Table 5, last row)."""

    def __init__(self, streams: Sequence[Stream], ffn_ratio: int, dropout: float) -> None:
        super().__init__()
        self.names = [stream.name for stream in streams]
        self.widths = [stream.width for stream in streams]
        total = sum(self.widths)
        self.feed_forward = FeedForward(total, ffn_ratio * total, dropout)

    def forward(self, contents: Contents) -> Contents:
        together = self.feed_forward(torch.cat([contents[name] for name in self.names], dim=-1))
        return dict(zip(self.names, together.split(self.widths, dim=-1), strict=True))
