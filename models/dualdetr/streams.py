"""The queries that a proposal is decoded by, and the channels that each of them reads."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from models.dualdetr.config import DualDETRConfig

StreamName = Literal["start", "end", "instance"]


@dataclass(frozen=True)
class Stream:
    """One query of each proposal, of one kind, with `width` channels from channel `first` on."""

    name: StreamName
    first: int
    width: int

    def channels(self, features: Tensor) -> Tensor:
        """This stream's part of encoded features, or of a token that it starts from: `[..., width]`."""
        return features[..., self.first : self.first + self.width]


def branches_of(config: DualDETRConfig) -> tuple[tuple[Stream, ...], ...]:
    """The streams of each decoder branch.

    With two branches the channels are partitioned (DualDETR 3.5): start D/4, end D/4, instance D/2, in this
    order. Otherwise there is one branch, whose streams all read all channels.
    """
    dim, quarter = config.dim, config.dim // 4
    start, end, instance = Stream("start", 0, dim), Stream("end", 0, dim), Stream("instance", 0, dim)
    match config.decoding:
        case "instance":
            return ((instance,),)
        case "boundary":
            return ((start, end),)
        case "combined":
            return ((start, end, instance),)
        case "two_branch":
            return (
                (Stream("start", 0, quarter), Stream("end", quarter, quarter)),
                (Stream("instance", 2 * quarter, 2 * quarter),),
            )


def streams_of(config: DualDETRConfig) -> tuple[Stream, ...]:
    """The streams of all branches, in the order of the branches."""
    return tuple(stream for branch in branches_of(config) for stream in branch)
