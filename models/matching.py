"""Which query answers for which true segment: the assignment of least cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.detection import SetPrediction, Target
from models.loss_config import SegmentForm, TermWeights
from models.losses import l1_loss, sigmoid_focal_loss, tiou_loss


@dataclass(frozen=True)
class PaddedTargets:
    """The targets of a batch as rectangles.

    Attributes:
        segments: `[B, N, 2]` float32.
        labels: `[B, N]` int64.
        counts: how many of a sample's N rows are true; never all of them.
        classes: `[B, N, K]` float 0 or 1, where a target may have several; else its label is its class.
    """

    segments: Tensor
    labels: Tensor
    counts: tuple[int, ...]
    classes: Tensor | None = None


def pad_targets(
    targets: Sequence[Target], device: torch.device, classes: Sequence[Tensor] | None = None
) -> PaddedTargets:
    """Bring the targets of a batch together on `device`, and the `classes [N, K]` of those that have several."""
    segments = pad_sequence([target.segments.float() for target in targets], batch_first=True)
    labels = pad_sequence([target.labels for target in targets], batch_first=True)
    # One row more, so that there is always one to index, also where no sample has a target.
    return PaddedTargets(
        segments=F.pad(segments, (0, 0, 0, 1)).to(device),
        labels=F.pad(labels, (0, 1)).to(device),
        counts=tuple(len(target.labels) for target in targets),
        classes=None
        if classes is None
        else F.pad(pad_sequence(list(classes), batch_first=True), (0, 0, 0, 1)).to(device),
    )


@torch.no_grad()
def match(
    predictions: Sequence[SetPrediction],
    targets: PaddedTargets,
    *,
    weights: TermWeights,
    l1_form: SegmentForm,
    focal_alpha: float,
    focal_gamma: float,
    repeats: Sequence[int] | None = None,
) -> list[Tensor]:
    """Match every prediction on its own with the targets (TP2-DETR, Eq. 12 and 13; DualDETR, Eq. 8 and 9).

    The cost of a pair is the weighted sum of the focal cost of the target's class (their mean, where it has several),
    the L1 distance and the negative tIoU. All costs leave the device in one copy, and all assignments return in
    one.

    Args:
        predictions: stacks of predictions: each tensor has one more dimension in front, `[S, B, Q, ...]`.
        repeats: for each stack how many queries answer for a target; one unless given.
    Returns:
        For each stack `[S, B, Q]` int64: the index of the query's target within its sample, -1 for none.
        Queries that are not valid get none; with more targets than queries, some targets stay without one.
    Raises:
        FloatingPointError: a cost is NaN, because the model has diverged.
    """
    costs = [
        _pair_costs(prediction, targets, weights, l1_form, focal_alpha, focal_gamma)
        for prediction in predictions
    ]
    flat = torch.cat([cost.flatten() for cost in costs]).cpu().numpy()
    if np.isnan(flat).any():
        raise FloatingPointError("a matching cost is not a number: the detector's outputs have diverged")
    shapes = [tuple(cost.shape) for cost in costs]
    ends = np.cumsum([cost.numel() for cost in costs])
    assigned = [
        _assign(part.reshape(shape), targets.counts, repeat)
        for part, shape, repeat in zip(
            np.split(flat, ends[:-1]), shapes, repeats or [1] * len(shapes), strict=True
        )
    ]
    joined = torch.from_numpy(np.concatenate([indices.ravel() for indices in assigned])).to(costs[0].device)
    parts = joined.split([indices.size for indices in assigned])
    return [part.view(shape[:-1]) for part, shape in zip(parts, shapes, strict=True)]


def _pair_costs(
    prediction: SetPrediction,
    targets: PaddedTargets,
    weights: TermWeights,
    l1_form: SegmentForm,
    focal_alpha: float,
    focal_gamma: float,
) -> Tensor:
    """`[S, B, Q, N]`: the cost of each query with each target, infinite for queries that are not valid."""
    logits, segments = prediction.logits.float(), prediction.segments.float()[..., None, :]
    if targets.classes is None:
        labels = targets.labels[:, None, :].expand(*logits.shape[:-1], -1)
        classification = _saved(logits.gather(-1, labels), focal_alpha, focal_gamma)
    else:
        share = targets.classes / targets.classes.sum(dim=-1, keepdim=True).clamp(min=1)
        saved = _saved(logits, focal_alpha, focal_gamma)
        classification = torch.einsum("sbqk,bnk->sbqn", saved, share)
    truth = targets.segments[:, None, :, :]
    cost = (
        weights.classification * classification
        + weights.l1 * l1_loss(segments, truth, l1_form)
        + weights.tiou * (tiou_loss(segments, truth) - 1)
    )
    return cost.masked_fill(~prediction.valid[..., None], torch.inf)


def _saved(logit: Tensor, focal_alpha: float, focal_gamma: float) -> Tensor:
    """What it saves to call a query of a class rather than background, elementwise."""
    one = torch.ones_like(logit)
    return sigmoid_focal_loss(logit, one, focal_alpha, focal_gamma) - sigmoid_focal_loss(
        logit, 1 - one, focal_alpha, focal_gamma
    )


def _assign(costs: np.ndarray, counts: Sequence[int], repeat: int) -> np.ndarray:
    """Solve each `[Q, N]` of `costs [S, B, Q, N]`: valid rows; a sample's first `counts` columns, `repeat` times."""
    assigned = np.full(costs.shape[:-1], -1, dtype=np.int64)
    for layer, sample in np.ndindex(costs.shape[:2]):
        cost = costs[layer, sample, :, : counts[sample]]
        valid = np.flatnonzero(costs[layer, sample, :, 0] < np.inf)
        query, target = linear_sum_assignment(np.tile(cost[valid], (1, repeat)))
        assigned[layer, sample, valid[query]] = target % max(1, counts[sample])
    return assigned
