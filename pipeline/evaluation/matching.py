"""Which predictions hit a true segment: greedy matching by score, at every tIoU threshold at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# About so many prediction-truth pairs are looked at together, which bounds memory.
_PAIRS_PER_BLOCK = 1 << 20


@dataclass(frozen=True)
class Matches:
    """Who met whom: `hits [N, T]` of the predictions and `found [M, T]` of the truths, bool, by threshold."""

    hits: np.ndarray
    found: np.ndarray


def temporal_iou(first: np.ndarray, second: np.ndarray, union_epsilon: float = 0.0) -> np.ndarray:
    """Intersection over union of segments, row by row.

    Args:
        first, second: `[N, 2]` (start, end). A segment that ends at or before its start overlaps nothing.
        union_epsilon: added to the union.
    Returns:
        `[N]`, 0 where the two do not overlap.
    """
    overlap = np.minimum(first[:, 1], second[:, 1]) - np.maximum(first[:, 0], second[:, 0])
    overlap = np.maximum(overlap, 0.0)
    union = (first[:, 1] - first[:, 0]) + (second[:, 1] - second[:, 0]) - overlap
    # Overlapping segments have a positive union; others may not (both empty, or reversed) and need none.
    return np.divide(overlap, union + union_epsilon, out=np.zeros_like(overlap), where=overlap > 0)


def match_by_score(
    segments: np.ndarray,
    groups: np.ndarray,
    truth_segments: np.ndarray,
    truth_groups: np.ndarray,
    thresholds: np.ndarray,
    union_epsilon: float = 0.0,
) -> Matches:
    """Give each prediction, best score first, the free truth of its group that it overlaps most.

    A truth is taken once: where the best one is already taken, the prediction falls through to the next best
    whose tIoU still reaches the threshold. Of truths with equal tIoU the first row goes first. Each
    threshold has its own matching. Memory is linear in predictions and truths: pairs are looked at in blocks
    of bounded size.

    Args:
        segments: `[N, 2]` predicted (start, end), sorted by falling score.
        groups: `[N]` integers; only a prediction and a truth of the same group can match.
        truth_segments: `[M, 2]`.
        truth_groups: `[M]` integers.
        thresholds: `[T]` rising tIoU thresholds in (0, 1], at most 62.
        union_epsilon: see `temporal_iou`.
    Returns:
        Which predictions hit a truth at each threshold, and which truths were hit.
    """
    in_range = 0 < len(thresholds) <= 62 and thresholds[0] > 0 and thresholds[-1] <= 1
    if not in_range or np.any(np.diff(thresholds) <= 0):
        raise ValueError(f"thresholds must be 1 to 62 rising numbers in (0, 1], not {list(thresholds)}")
    # One bit a threshold, so that plain integers hold the state of all matchings: bit t of `taken[m]` says
    # that truth m is gone at threshold t. As thresholds rise, those that a pair reaches are the lowest bits.
    hit = [0] * len(segments)
    taken = [0] * len(truth_segments)
    for prediction, truth, iou in overlapping_pairs(
        segments, groups, truth_segments, truth_groups, thresholds[0], union_epsilon
    ):
        reached = (1 << np.searchsorted(thresholds, iou, side="right")) - 1
        for p, m, bits in zip(prediction.tolist(), truth.tolist(), reached.tolist(), strict=True):
            won = bits & ~hit[p] & ~taken[m]
            hit[p] |= won
            taken[m] |= won
    return Matches(_unpacked(hit, len(thresholds)), _unpacked(taken, len(thresholds)))


def overlapping_pairs(
    segments: np.ndarray,
    groups: np.ndarray,
    truth_segments: np.ndarray,
    truth_groups: np.ndarray,
    lowest: float,
    union_epsilon: float,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Every prediction and truth of one group whose tIoU reaches `lowest`; arguments as of `match_by_score`.

    Yields:
        Blocks of (prediction index, truth index, tIoU), by prediction, falling tIoU, truth index.
    """
    by_group = np.argsort(truth_groups, kind="stable")
    sorted_groups = truth_groups[by_group]
    first = np.searchsorted(sorted_groups, groups, side="left")
    count = np.searchsorted(sorted_groups, groups, side="right") - first
    cuts = np.flatnonzero(np.diff(np.cumsum(count) // _PAIRS_PER_BLOCK)) + 1
    for block in np.split(np.arange(len(segments)), cuts):
        prediction = np.repeat(block, count[block])
        within = np.arange(len(prediction)) - np.repeat(np.cumsum(count[block]) - count[block], count[block])
        truth = by_group[first[prediction] + within]
        iou = temporal_iou(segments[prediction], truth_segments[truth], union_epsilon)
        near = iou >= lowest
        prediction, truth, iou = prediction[near], truth[near], iou[near]
        order = np.lexsort((truth, -iou, prediction))
        yield prediction[order], truth[order], iou[order]


def _unpacked(bits: list[int], width: int) -> np.ndarray:
    """The lowest `width` bits of each number as a row of bool."""
    return (np.array(bits, dtype=np.int64)[:, None] >> np.arange(width) & 1).astype(bool)
