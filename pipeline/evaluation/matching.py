"""Which predictions hit a true segment: greedy matching by score, at every tIoU threshold at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# About so many prediction-truth pairs are looked at together, which bounds memory.
_PAIRS_PER_BLOCK = 1 << 20


@dataclass(frozen=True)
class TrueSegments:
    """The M true segments of a dataset, in groups; only a prediction and a truth of the same group can match.

    Attributes:
        seconds: `[M, 2]` (start, end).
        rows: `[M]`, the truths by group, in each group in their order.
        groups: `[M]`, the group of each of `rows`, rising.
    """

    seconds: np.ndarray
    rows: np.ndarray
    groups: np.ndarray

    @classmethod
    def grouped(cls, seconds: np.ndarray, groups: np.ndarray) -> "TrueSegments":
        """Sort truths (`[M, 2]`) by their `groups` (`[M]` integers)."""
        rows = np.argsort(groups, kind="stable")
        return cls(seconds, rows, groups[rows])


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


def check_thresholds(thresholds: np.ndarray) -> None:
    """Raise ValueError where these are no 1 to 63 rising tIoU thresholds in (0, 1]."""
    in_range = 0 < len(thresholds) <= 63 and thresholds[0] > 0 and thresholds[-1] <= 1
    if not in_range or np.any(np.diff(thresholds) <= 0):
        raise ValueError(f"thresholds must be 1 to 63 rising numbers in (0, 1], not {list(thresholds)}")


def match_by_score(
    segments: np.ndarray,
    groups: np.ndarray,
    truth: TrueSegments,
    thresholds: np.ndarray,
    union_epsilon: float = 0.0,
) -> tuple[dict[int, int], dict[int, int]]:
    """Give each prediction, best score first, the free truth of its group that it overlaps most.

    A truth is taken once: where the best one is already taken, the prediction falls through to the next best
    whose tIoU still reaches the threshold. Of truths with equal tIoU the first row goes first. Each
    threshold has its own matching. Memory is linear in predictions: pairs are looked at in blocks of bounded size.

    Args:
        segments: `[N, 2]` predicted (start, end), sorted by falling score; all predictions of a group are among them.
        groups: `[N]` integers.
        truth: what can be hit.
        thresholds: `[T]` rising tIoU thresholds (`check_thresholds`).
        union_epsilon: see `temporal_iou`.
    Returns:
        The predictions that hit and the truths that were hit, by row; bit t of the value tells whether at threshold t.
    """
    # Plain integers hold the state of all matchings. As thresholds rise, those that a pair reaches are the lowest bits.
    masks = np.array([(1 << reached) - 1 for reached in range(len(thresholds) + 1)], dtype=np.uint64)
    hit: dict[int, int] = {}
    taken: dict[int, int] = {}
    for prediction, row, iou in overlapping_pairs(segments, groups, truth, thresholds[0], union_epsilon):
        reached = masks[np.searchsorted(thresholds, iou, side="right")]
        for p, m, bits in zip(prediction.tolist(), row.tolist(), reached.tolist(), strict=True):
            before, gone = hit.get(p, 0), taken.get(m, 0)
            won = bits & ~before & ~gone
            if won:
                hit[p] = before | won
                taken[m] = gone | won
    return hit, taken


def overlapping_pairs(
    segments: np.ndarray, groups: np.ndarray, truth: TrueSegments, lowest: float, union_epsilon: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Every prediction and truth of one group whose tIoU reaches `lowest`; arguments as of `match_by_score`.

    Yields:
        Blocks of (prediction index, truth index, tIoU), by prediction, falling tIoU, truth index.
    """
    first = np.searchsorted(truth.groups, groups, side="left")
    count = np.searchsorted(truth.groups, groups, side="right") - first
    cuts = np.flatnonzero(np.diff(np.cumsum(count) // _PAIRS_PER_BLOCK)) + 1
    for block in np.split(np.arange(len(segments)), cuts):
        prediction = np.repeat(block, count[block])
        within = np.arange(len(prediction)) - np.repeat(np.cumsum(count[block]) - count[block], count[block])
        row = truth.rows[first[prediction] + within]
        iou = temporal_iou(segments[prediction], truth.seconds[row], union_epsilon)
        near = iou >= lowest
        prediction, row, iou = prediction[near], row[near], iou[near]
        order = np.lexsort((row, -iou, prediction))
        yield prediction[order], row[order], iou[order]
