"""What a detector takes and gives: the types that cross between models, training and inference."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True)
class Target:
    """The truth of one sample: `segments [N, 2]` (start, end) in [0, 1] of its valid part, `labels [N]`."""

    segments: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> "Target":
        return Target(self.segments.to(device), self.labels.to(device))


@dataclass(frozen=True)
class SetPrediction:
    """One set of proposals.

    Attributes:
        segments: `[B, Q, 2]`, (start, end) where [0, 1] is the valid part of each sample; they may stick out.
            `[B, Q, K, 2]` where every class has a segment of its own.
        logits: `[B, Q, K]`, one sigmoid logit a class.
        valid: `[B, Q]` bool, False where a query holds no proposal (a padded token, too few tokens).
        actionness: `[B, Q]`, a logit of how well the segment fits whatever action it is, a factor of all its scores;
            None where nothing tells.
    """

    segments: Tensor
    logits: Tensor
    valid: Tensor
    actionness: Tensor | None = None

    def scores(self) -> Tensor:
        """How sure each segment of each class is, `[B, Q, K]` float32 in [0, 1]."""
        scores = self.logits.float().sigmoid()
        return scores if self.actionness is None else scores * self.actionness.float().sigmoid()[..., None]


@dataclass(frozen=True)
class PointPrediction:
    """What a point detector says at every token of all levels of its pyramid, the finest first.

    Attributes:
        logits: `[B, P, K]`, one sigmoid logit a class.
        distances: `[B, P, 2]`, or `[B, P, K, 2]` where every class has distances of its own: from the point to the
            start and to the end of its segment, in tokens of its level, at least 0.
        padding_mask: `[B, P]`, True = padding.
        lengths: the padded length of each level, P in all; a token of level l is 2^l tokens of the features.
    """

    logits: Tensor
    distances: Tensor
    padding_mask: Tensor
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Salience:
    """Training-only foreground logits `[B, T]` of one place in the network, with their padding mask."""

    logits: Tensor
    padding_mask: Tensor


@dataclass(frozen=True)
class DetectorOutput:
    """Everything a detector returns.

    Attributes:
        layers: one prediction for each decoder layer, the last is the final one.
        encoder: dense proposals on the encoder's tokens, or None.
        salience: named foreground logits for early supervision (empty outside training).
        points: of a point detector what its loss compares; `layers` is then one prediction of all points' segments.
    """

    layers: tuple[SetPrediction, ...]
    encoder: SetPrediction | None = None
    salience: dict[str, Salience] = field(default_factory=dict)
    points: PointPrediction | None = None

    @property
    def final(self) -> SetPrediction:
        return self.layers[-1]


@runtime_checkable
class HasSalience(Protocol):
    """A detector that can tell where it sees an action, token by token."""

    def salience(self, features: Tensor, padding_mask: Tensor) -> dict[str, Salience]:
        """Foreground logits by place in the network; takes what `forward` takes."""
        ...


@dataclass(frozen=True)
class Detections:
    """One sample's segments, best first: `segments [N, 2]` in [0, 1], `labels [N]` int64, `scores [N]`."""

    segments: Tensor
    labels: Tensor
    scores: Tensor


def decode(output: DetectorOutput, top_k: int, min_score: float = 0.0) -> list[Detections]:
    """The `top_k` best (query, class) pairs of each sample's final layer, or of each level of its points.

    A query may appear with several classes (multi-label). Scores are those of `SetPrediction`. Segments are
    clamped to [0, 1]; those without length, and queries that are not `valid`, never appear.

    Args:
        output: a detector's output for `B` samples.
        top_k: at most this many detections a sample, and for a point detector a level.
        min_score: no detection is less sure.
    Returns:
        `B` Detections, each sorted by falling score.
    """
    final = output.final
    num_classes = final.logits.shape[-1]
    segments = final.segments.float().clamp(0, 1)
    has_length = segments[..., 1] > segments[..., 0]
    if has_length.ndim == 2:
        has_length = has_length[..., None]
    scores = final.scores().masked_fill(~(final.valid[..., None] & has_length), -1.0)
    best, pair = _best_pairs(scores, None if output.points is None else output.points.lengths, top_k)
    labels = pair % num_classes
    if segments.ndim == 4:
        segments = segments.flatten(1, 2).gather(1, pair[..., None].expand(-1, -1, 2))
    else:
        segments = segments.gather(1, (pair // num_classes)[..., None].expand(-1, -1, 2))
    # Sorted, so that what may appear comes first; one wait for the device, not one a sample.
    counts = (best >= max(0.0, min_score)).sum(dim=1).tolist()
    return [
        Detections(segments[sample, :count], labels[sample, :count], best[sample, :count])
        for sample, count in enumerate(counts)
    ]


def _best_pairs(scores: Tensor, lengths: Sequence[int] | None, top_k: int) -> tuple[Tensor, Tensor]:
    """The best of `scores [B, Q, K]`, of all queries or of each run of `lengths`: falling scores and flat indices."""
    if lengths is None:
        flat = scores.flatten(1)
        return flat.topk(min(top_k, flat.shape[1]), dim=1)
    found, pairs, first = [], [], 0
    for level in scores.split(list(lengths), dim=1):
        flat = level.flatten(1)
        best, pair = flat.topk(min(top_k, flat.shape[1]), dim=1)
        found.append(best)
        pairs.append(pair + first)
        first += flat.shape[1]
    best, order = torch.cat(found, dim=1).sort(dim=1, descending=True, stable=True)
    return best, torch.cat(pairs, dim=1).gather(1, order)


def is_finite(output: DetectorOutput) -> Tensor:
    """Whether all final predictions that hold a proposal are numbers, `[]` bool; `decode` would drop the others."""
    final = output.final
    finite = final.logits.isfinite().all(dim=-1) & final.segments.flatten(2).isfinite().all(dim=-1)
    if final.actionness is not None:
        finite = finite & final.actionness.isfinite()
    return (finite | ~final.valid).all()
