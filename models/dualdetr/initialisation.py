"""What queries start from: the encoder's proposals, or parameters (DualDETR 3.4, Table 4 and Figure 5)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.detection import SetPrediction
from models.dualdetr.config import DualDETRConfig
from models.dualdetr.proposals import ProposalHead, Proposals
from models.dualdetr.queries import Contents, Positions, Queries, inside
from models.dualdetr.streams import Stream, streams_of
from models.levels import Tokens
from models.positions import sine_embedding
from models.segments import inverse_sigmoid, to_centre_width, to_start_end


class AlignedStart(nn.Module):
    """All queries of an index start where one proposal of the encoder lies (query alignment)."""

    def __init__(self, config: DualDETRConfig) -> None:
        super().__init__()
        streams = streams_of(config)
        self.proposals = ProposalHead(config)
        self.contents: nn.Module
        match config.initialisation:
            case "joint":
                self.contents = TokenContents(streams, config.detach_content_init)
            case "full_position":
                self.contents = PositionContents(streams, config.dim)
            case _:
                self.contents = LearntContents(streams, config.num_queries)

    def forward(self, memory: Tokens) -> tuple[Queries, SetPrediction]:
        """The queries, and the dense prediction that their proposals were selected from."""
        proposals, dense = self.proposals(memory)
        positions = Positions(proposals.segments, to_centre_width(proposals.segments))
        return Queries(self.contents(proposals), positions, proposals.valid), dense


class LearntStart(nn.Module):
    """Queries are parameters, and those of one index start at places of their own. Nothing is proposed."""

    def __init__(self, config: DualDETRConfig) -> None:
        super().__init__()
        streams = streams_of(config)
        self.contents = LearntContents(streams, config.num_queries)
        scattered = Positions(_scattered(config), to_centre_width(_scattered(config)))
        self.places = nn.ParameterDict(
            {stream.name: inverse_sigmoid(scattered.of(stream.name)) for stream in streams}
        )

    def forward(self, memory: Tokens) -> tuple[Queries, None]:
        """The queries, valid for every sample that has a token at all; there is no dense prediction."""
        batch = len(memory.features)
        contents = self.contents.expand(batch)
        places = {name: logits.sigmoid().expand(batch, -1, -1) for name, logits in self.places.items()}
        positions = Positions.of_streams(places)
        valid = (~memory.padding_mask).any(dim=1, keepdim=True).expand(positions.boundary.shape[:2])
        return Queries(contents, positions, valid), None


class TokenContents(nn.Module):
    """Contents are the proposal's token, split along its channels as the encoder's features are."""

    def __init__(self, streams: Sequence[Stream], detach: bool) -> None:
        super().__init__()
        self.streams = streams
        self.detach = detach

    def forward(self, proposals: Proposals) -> Contents:
        tokens = proposals.tokens.detach() if self.detach else proposals.tokens
        return {stream.name: stream.channels(tokens) for stream in self.streams}


class PositionContents(nn.Module):
    """Contents say where the proposal lies and nothing of what is there, as in two-stage Deformable DETR."""

    def __init__(self, streams: Sequence[Stream], dim: int) -> None:
        super().__init__()
        self.streams = streams
        self.dim = dim
        self.transform = nn.Sequential(nn.Linear(dim, dim), nn.LayerNorm(dim))

    def forward(self, proposals: Proposals) -> Contents:
        places = to_centre_width(proposals.segments)
        tokens = self.transform(sine_embedding(places, self.dim // 2).flatten(-2))
        return {stream.name: stream.channels(tokens) for stream in self.streams}


class LearntContents(nn.Module):
    """Contents are parameters, the same for every sample."""

    def __init__(self, streams: Sequence[Stream], num_queries: int) -> None:
        super().__init__()
        self.values = nn.ParameterDict(
            {stream.name: torch.randn(num_queries, stream.width) for stream in streams}
        )

    def forward(self, proposals: Proposals) -> Contents:
        return self.expand(len(proposals.valid))

    def expand(self, batch: int) -> Contents:
        """For each stream `[B, Q, width]`."""
        return {name: values.expand(batch, -1, -1) for name, values in self.values.items()}


def _scattered(config: DualDETRConfig) -> Tensor:
    """Segments of the base duration anywhere in the window, `[Q, 2]`."""
    centre = torch.rand(config.num_queries)
    return inside(to_start_end(torch.stack((centre, torch.full_like(centre, config.base_duration)), dim=-1)))
