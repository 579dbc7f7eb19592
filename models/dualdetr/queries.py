"""What the decoder works on: for each proposal its queries, the channels that each of them reads and its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.dualdetr.config import DualDETRConfig
from models.segments import to_centre_width, to_start_end

# A query that was pushed out of the window or turned around keeps a segment as short as this, so that its
# next correction starts from something.
MIN_WIDTH = 1e-3

StreamName = Literal["start", "end", "instance"]
Contents = dict[str, Tensor]  # for each stream, by its name, `[B, Q, width]`


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


@dataclass(frozen=True)
class Positions:
    """Where the queries stand, in [0, 1] of the valid part.

    Attributes:
        boundary: `[B, Q, 2]`, the start queries' and the end queries' places.
        instance: `[B, Q, 2]`, (centre, width) of the instance queries.
    """

    boundary: Tensor
    instance: Tensor

    @classmethod
    def of_streams(cls, places: Mapping[str, Tensor]) -> "Positions":
        """From `[B, Q, 1]` of start and end, `[B, Q, 2]` of instance; an absent level follows the other."""
        boundary = torch.cat((places["start"], places["end"]), dim=-1) if "start" in places else None
        instance = places.get("instance")
        if boundary is None:
            assert instance is not None  # a detector has one level at least
            boundary = to_start_end(instance)
        return cls(boundary, to_centre_width(boundary) if instance is None else instance)

    def of(self, stream: str) -> Tensor:
        """The references of a stream: `[B, Q, 1]`, or `[B, Q, 2]` (centre, width) of instance."""
        match stream:
            case "start":
                return self.boundary[..., :1]
            case "end":
                return self.boundary[..., 1:]
            case _:
                return self.instance

    def around(self, stream: str) -> tuple[Tensor, Tensor]:
        """What a stream's queries stand for, as two segments `[B, Q, 2]`.

        For instance the segment, and twice its width; for an end the quarters of its width before and after it.
        """
        centre, width = self.instance.unbind(-1)
        width = width.clamp(min=MIN_WIDTH)
        if stream == "instance":
            return to_start_end(self.instance), torch.stack((centre - width, centre + width), dim=-1)
        at = self.boundary[..., 0 if stream == "start" else 1]
        return torch.stack((at - width / 4, at), dim=-1), torch.stack((at, at + width / 4), dim=-1)

    def inside(self) -> "Positions":
        """Both levels with their segments brought `inside` the window."""
        instance = inside(to_start_end(self.instance))
        return Positions(inside(self.boundary), to_centre_width(instance))

    def detach(self) -> "Positions":
        return Positions(self.boundary.detach(), self.instance.detach())


@dataclass(frozen=True)
class Queries:
    """The queries of `Q` proposals, aligned by their index.

    Attributes:
        contents: for each stream `[B, Q, width]`.
        positions: where they stand.
        valid: `[B, Q]`, False where there is no proposal.
    """

    contents: Contents
    positions: Positions
    valid: Tensor


def inside(segments: Tensor) -> Tensor:
    """(start, end) `[..., 2]` cut off at 0 and 1 and at least `MIN_WIDTH` long, around the same centre."""
    centre, width = to_centre_width(segments.clamp(0, 1)).unbind(-1)
    width = width.clamp(min=MIN_WIDTH)
    centre = torch.minimum(torch.maximum(centre, width / 2), 1 - width / 2)
    return to_start_end(torch.stack((centre, width), dim=-1))
