"""Score-weighted voting: a detection that stays moves to the mean of all that were found around it."""

from typing import Literal

import numpy as np

VotingWeight = Literal["score", "score_tiou"]


def voted(
    kept: np.ndarray,
    segments: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    threshold: float,
    weight: VotingWeight,
) -> np.ndarray:
    """The segments `[M, 2]` of the rows `kept`, each the weighted mean of those of its group that overlap it enough.

    Args:
        kept: `[M]` rows.
        segments: `[N, 2]` with start < end, of all detections before any were suppressed.
        scores: `[N]`, as they were then.
        groups: `[N]` integers; only detections of one group vote for each other.
        threshold: least tIoU of a vote, in (0, 1]; a detection votes for itself.
        weight: of a vote, its score (TriDet's released code) or that times its tIoU (ActionFormer's).
    """
    moved = segments[kept].astype(np.float64)
    for group in np.unique(groups[kept]):
        rows = np.flatnonzero(groups == group)
        rows = rows[np.argsort(segments[rows, 0], kind="stable")]
        start, end = segments[rows].T
        # Whoever overlaps a segment starts before its end, and no earlier than the longest could.
        longest = (end - start).max()
        places = np.flatnonzero(groups[kept] == group)
        own = segments[kept[places]]
        first = np.searchsorted(start, own[:, 0] - longest, side="left")
        last = np.searchsorted(start, own[:, 1], side="left")
        for place, (begin, stop), low, high in zip(places, own, first, last, strict=True):
            near = slice(low, high)
            inside = np.minimum(end[near], stop) - np.maximum(start[near], begin)
            tiou = inside / (end[near] - start[near] + stop - begin - inside)
            votes = tiou >= threshold
            share = scores[rows[near]][votes] * (tiou[votes] if weight == "score_tiou" else 1.0)
            if share.sum() > 0:
                moved[place] = share @ segments[rows[near]][votes] / share.sum()
    return moved
