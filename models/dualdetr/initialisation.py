"""What queries start from: the encoder's proposals, or parameters (DualDETR 3.4, Table 4 and Figure 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detection import SetPrediction
from models.dualdetr.config import DualDETRConfig
from models.dualdetr.queries import Contents, Positions, Queries, Stream, inside, streams_of
from models.heads import DetectionHead
from models.levels import Tokens
from models.positions import sine_embedding
from models.segments import inverse_sigmoid, pairwise_tiou, to_centre_width, to_start_end
from models.transformer import token_places

# Of so many times as many tokens as there are queries the distinct ones are chosen.
_CANDIDATES = 4
_SLOT_DEVIATION = 0.5  # of slots at the start; a normalised token's channels have 1


@dataclass(frozen=True)
class Proposals:
    """The proposals of the most promising tokens, best first.

    Attributes:
        segments: `[B, Q, 2]`, (start, end) inside the window; without a gradient.
        tokens: `[B, Q, D]`, the transformed tokens that made them.
        valid: `[B, Q]`, False where a sample has no further token to offer.
    """

    segments: Tensor
    tokens: Tensor
    valid: Tensor


class ProposalHead(nn.Module):
    """A class-aware detector on every token, around a segment at the token's place (DualDETR 3.4).

    That segment is `base_duration` long on the finest level and twice as long on each coarser one.
    """

    def __init__(self, config: DualDETRConfig, num_classes: int) -> None:
        super().__init__()
        self.base_duration = config.base_duration
        self.border_margin = config.border_margin
        self.num_queries = config.num_queries
        self.most_tiou = config.proposal_tiou
        self.transform = nn.Sequential(nn.Linear(config.dim, config.dim), nn.LayerNorm(config.dim))
        self.head = DetectionHead(config.dim, num_classes, config.class_prior)

    def forward(self, memory: Tokens) -> tuple[Proposals, SetPrediction]:
        """The selected proposals, and what the head says at all tokens (valid where they are not padding)."""
        padding = memory.padding_mask
        tokens = self.transform(memory.features.masked_fill(padding[..., None], 0.0))
        masks = padding.split(memory.lengths, dim=1)
        reference = torch.cat([self._references(level, mask) for level, mask in enumerate(masks)], dim=1)
        logits, boxes = self.head(tokens, reference)
        dense = SetPrediction(to_start_end(boxes), logits, ~padding)
        centre = reference[..., 0]
        eligible = ~padding & (centre > self.border_margin) & (centre < 1 - self.border_margin)
        return select(tokens, dense, eligible, self.num_queries, self.most_tiou), dense

    def _references(self, level: int, padding: Tensor) -> Tensor:
        """The segments that a level's proposals are corrections of, (centre, width): `[B, T_l, 2]`."""
        centre = token_places(padding).clamp(max=1)
        return torch.stack((centre, torch.full_like(centre, self.base_duration * 2**level)), dim=-1)


def select(
    tokens: Tensor, dense: SetPrediction, eligible: Tensor, num_queries: int, most_tiou: float = 1.0
) -> Proposals:
    """The `num_queries` tokens whose best class is the surest, no two of which overlap by more than `most_tiou`.

    Args:
        tokens: `[B, T, D]`.
        dense: the prediction at each token.
        eligible: `[B, T]`, the tokens to choose from. Where a sample has too few, the rest is not valid.
    """
    scores = dense.logits.detach().float().amax(dim=-1).masked_fill(~eligible, -torch.inf)
    segments = dense.segments.detach()
    count = min(num_queries, scores.shape[1])
    if most_tiou < 1:
        scores = _without_twins(
            scores, inside(segments), most_tiou, min(_CANDIDATES * count, scores.shape[1])
        )
    best, index = scores.topk(count, dim=1)
    missing = (0, num_queries - count)

    def chosen(values: Tensor) -> Tensor:
        rows = values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))
        return F.pad(rows, (0, 0, *missing))

    return Proposals(
        segments=inside(chosen(segments)),
        tokens=chosen(tokens),
        valid=F.pad(best > -torch.inf, missing),
    )


def _without_twins(scores: Tensor, segments: Tensor, most_tiou: float, candidates: int) -> Tensor:
    """`scores [B, T]` of the surest `candidates`, -inf where a surer one that stays overlaps by more."""
    best, index = scores.topk(candidates, dim=1)
    place = segments.gather(1, index[..., None].expand(-1, -1, 2))
    twins = (
        (pairwise_tiou(place, place) > most_tiou).triu(1).to(place.dtype)
    )  # of a surer one (row) and another
    stays = torch.ones_like(best)
    # After n rounds the n surest are settled, and most others: as many rounds as the longest chain of twins.
    while not torch.equal(stays, settled := (stays[:, None] @ twins == 0)[:, 0].to(place.dtype)):
        stays = settled
    return torch.full_like(scores, -torch.inf).scatter(1, index, best.masked_fill(stays == 0, -torch.inf))


class AlignedStart(nn.Module):
    """All queries of an index start where one proposal of the encoder lies (query alignment)."""

    def __init__(self, config: DualDETRConfig, num_classes: int) -> None:
        super().__init__()
        streams = streams_of(config)
        self.proposals = ProposalHead(config, num_classes)
        self.contents: nn.Module
        match config.initialisation:
            case "joint":
                slots = config.num_queries if config.time_slots else None
                self.contents = TokenContents(streams, config.detach_content_init, slots)
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
    """Contents are the proposal's token, split along its channels as the encoder's features are.

    Args:
        slots: of so many learned vectors, one a part of the sequence, the proposal's joins its token; None for none.
    """

    def __init__(self, streams: Sequence[Stream], detach: bool, slots: int | None = None) -> None:
        super().__init__()
        self.streams = streams
        self.detach = detach
        dim = max(stream.first + stream.width for stream in streams)
        self.slots = None if slots is None else nn.Parameter(_SLOT_DEVIATION * torch.randn(slots, dim))

    def forward(self, proposals: Proposals) -> Contents:
        tokens = proposals.tokens.detach() if self.detach else proposals.tokens
        if self.slots is not None:
            tokens = tokens + self.slots[time_slots(proposals, len(self.slots))].to(tokens.dtype)
        return {stream.name: stream.channels(tokens) for stream in self.streams}


def time_slots(proposals: Proposals, count: int) -> Tensor:
    """The slot of each proposal, `[B, Q]` in [0, count): its rank in time among the valid, spread over all slots."""
    centre = proposals.segments.mean(dim=-1).masked_fill(~proposals.valid, torch.inf)
    rank = centre.argsort(dim=1, stable=True).argsort(dim=1)
    valid = proposals.valid.sum(dim=1, keepdim=True).clamp(min=1)
    return (rank * count // valid).clamp(max=count - 1)


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
