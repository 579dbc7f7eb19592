"""Dense detection on the encoder's tokens, and the proposals that are worth decoding."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detection import SetPrediction
from models.dualdetr.config import DualDETRConfig
from models.dualdetr.queries import inside
from models.heads import DetectionHead
from models.levels import Tokens
from models.segments import to_start_end
from models.transformer import token_places


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

    def __init__(self, config: DualDETRConfig) -> None:
        super().__init__()
        self.base_duration = config.base_duration
        self.border_margin = config.border_margin
        self.num_queries = config.num_queries
        self.transform = nn.Sequential(nn.Linear(config.dim, config.dim), nn.LayerNorm(config.dim))
        self.head = DetectionHead(config.dim, config.num_classes, config.class_prior)

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
        return select(tokens, dense, eligible, self.num_queries), dense

    def _references(self, level: int, padding: Tensor) -> Tensor:
        """The segments that a level's proposals are corrections of, (centre, width): `[B, T_l, 2]`."""
        centre = token_places(padding).clamp(max=1)
        return torch.stack((centre, torch.full_like(centre, self.base_duration * 2**level)), dim=-1)


def select(tokens: Tensor, dense: SetPrediction, eligible: Tensor, num_queries: int) -> Proposals:
    """The `num_queries` tokens whose best class is the surest.

    Args:
        tokens: `[B, T, D]`.
        dense: the prediction at each token.
        eligible: `[B, T]`, the tokens to choose from. Where a sample has too few, the rest is not valid.
    """
    scores = dense.logits.detach().float().amax(dim=-1).masked_fill(~eligible, -torch.inf)
    count = min(num_queries, scores.shape[1])
    best, index = scores.topk(count, dim=1)
    missing = (0, num_queries - count)

    def chosen(values: Tensor) -> Tensor:
        rows = values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))
        return F.pad(rows, (0, 0, *missing))

    return Proposals(
        segments=inside(chosen(dense.segments.detach())),
        tokens=chosen(tokens),
        valid=F.pad(best > -torch.inf, missing),
    )
