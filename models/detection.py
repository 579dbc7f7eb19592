"""What a detector takes and gives: the types that cross between models, training and inference."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Target:
    """The truth of one sample: `segments [N, 2]` (start, end) in [0, 1] of the valid part, `labels [N]` int64."""

    segments: Tensor
    labels: Tensor

    def to(self, device: torch.device | str) -> "Target":
        return Target(self.segments.to(device), self.labels.to(device))


@dataclass(frozen=True)
class SetPrediction:
    """One set of proposals.

    Attributes:
        segments: `[B, Q, 2]`, (start, end) in [0, 1] of the valid part of each sample.
        logits: `[B, Q, K]`, one sigmoid logit a class.
        valid: `[B, Q]` bool, False where a query holds no proposal (a padded token, too few tokens).
    """

    segments: Tensor
    logits: Tensor
    valid: Tensor


@dataclass(frozen=True)
class Saliency:
    """Training-only foreground logits `[B, T]` from one place in the network, with their padding mask `[B, T]`."""

    logits: Tensor
    padding_mask: Tensor


@dataclass(frozen=True)
class DetectorOutput:
    """Everything a detector returns.

    Attributes:
        layers: one prediction for each decoder layer, the last is the final one.
        encoder: dense proposals on the encoder's tokens, or None.
        saliency: named foreground logits for salient supervision (empty outside training).
    """

    layers: tuple[SetPrediction, ...]
    encoder: SetPrediction | None = None
    saliency: dict[str, Saliency] = field(default_factory=dict)

    @property
    def final(self) -> SetPrediction:
        return self.layers[-1]


@dataclass(frozen=True)
class Detections:
    """Scored segments of one sample, best first: `segments [N, 2]` in [0, 1], `labels [N]` int64, `scores [N]`."""

    segments: Tensor
    labels: Tensor
    scores: Tensor


def decode(output: DetectorOutput, top_k: int) -> list[Detections]:
    """The `top_k` best (query, class) pairs of each sample's final layer.

    A query may appear with several classes (multi-label). Scores are sigmoid probabilities; queries that are not
    `valid` never appear, nor do segments of no length.

    Args:
        output: a detector's output for `B` samples.
        top_k: at most this many detections a sample.
    Returns:
        `B` Detections, each sorted by falling score.
    """
    final = output.final
    num_classes = final.logits.shape[-1]
    scores = final.logits.float().sigmoid()
    has_length = final.segments[..., 1] > final.segments[..., 0]
    scores = scores.masked_fill(~(final.valid & has_length)[..., None], -1.0)
    flat = scores.flatten(1)
    best, pair = flat.topk(min(top_k, flat.shape[1]), dim=1)
    detections = []
    for sample in range(flat.shape[0]):
        keep = best[sample] >= 0
        query = pair[sample, keep] // num_classes
        detections.append(
            Detections(
                segments=final.segments[sample, query].float(),
                labels=pair[sample, keep] % num_classes,
                scores=best[sample, keep],
            )
        )
    return detections
