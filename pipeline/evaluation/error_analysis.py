"""What a detector's errors are: each prediction's kind, and the true instances it missed (DETAD, Alwassel et al. 2018).

DETAD's false positive analysis sorts the predictions that hit nothing by the true instance that they overlap most,
whatever its label: at or above the tIoU threshold it is a `duplicate` (same label) or a `wrong label`; from 0.1 on a
`localisation` error (same label) or a `confusion` (another label); below that it is `background`.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.average_precision import interpolated_average_precision
from pipeline.evaluation.indexed import IndexedSegments
from pipeline.evaluation.matching import TrueSegments, overlapping_pairs
from pipeline.evaluation.ranking import Ranking

# In this order they are numbered, as in DETAD's own tool, which calls the last five ... Err.
KINDS = ("true positive", "duplicate", "wrong label", "localisation", "confusion", "background")
TRUE_POSITIVE, DUPLICATE, WRONG_LABEL, LOCALISATION, CONFUSION, BACKGROUND = range(len(KINDS))
# Below it a prediction has found nothing (DETAD's released tool, as the next).
LEAST_TIOU = 0.1
# A class with G true instances has its best 10 G predictions looked at, G at a time.
GROUPS = 10


@dataclass(frozen=True)
class ErrorAnalysis:
    """The errors of N predictions in M true instances.

    Attributes:
        tiou: the threshold from which on a prediction hits.
        kinds: `[N]` positions in `KINDS`.
        own_tiou: `[N]`, the highest tIoU with a true instance of the prediction's own video and label.
        found_by: `[M]`, the prediction that hits each true instance; -1 where none does. Of the predictions from some
            score on these are the hits, too: matching goes by falling score.
        profile: `[GROUPS, len(KINDS)]` counts: row g is of the predictions of each class that rank from g G on, up to
            (g + 1) G, where G is the number of the class's true instances.
        gains: `[len(KINDS)]`, by how much mAP at `tiou` over the classes with truth rises if no prediction of that
            kind were there; 0 for the first.
    """

    tiou: float
    kinds: np.ndarray
    own_tiou: np.ndarray
    found_by: np.ndarray
    profile: np.ndarray
    gains: np.ndarray

    @property
    def missed(self) -> np.ndarray:
        """`[M]` bool, the true instances that no prediction hits."""
        return self.found_by < 0


def analyse_errors(
    predictions: IndexedSegments, ranking: Ranking, tiou: float, union_epsilon: float = 0.0
) -> ErrorAnalysis:
    """The kind of each prediction, at one tIoU threshold.

    DETAD takes the first of several true instances that overlap equally; here one of the prediction's own label goes
    first, so that a segment with two labels makes no error. A truth of no length cannot be overlapped.

    Args:
        predictions: N rows of known videos and labels, none of them -1.
        ranking: to which just these were added, in this order; `tiou` is among its thresholds.
        tiou: the threshold from which on a prediction hits.
        union_epsilon: added to the union in tIoU, in seconds, as in the ranking.
    Raises:
        ValueError: the ranking is not of these predictions, or does not know the threshold.
    """
    if len(ranking.scores) != len(predictions) or tiou not in ranking.thresholds:
        raise ValueError(
            "errors need the ranking of just these predictions at this threshold; this is a bug in raytad"
        )
    column = ranking.thresholds.index(tiou)
    hits = (ranking.hits >> column & 1).astype(bool)
    nearest, same_label, own = _nearest(predictions, ranking.truth, union_epsilon)
    kinds = np.full(len(predictions), BACKGROUND, dtype=np.uint8)
    near = nearest >= LEAST_TIOU
    kinds[near] = np.where(same_label[near], LOCALISATION, CONFUSION)
    over = nearest >= tiou
    kinds[over] = np.where(same_label[over], DUPLICATE, WRONG_LABEL)
    kinds[hits] = TRUE_POSITIVE
    profile, gains = _profile_and_gains(kinds, hits, ranking)
    found_by = _found_by(predictions, np.flatnonzero(hits), ranking, tiou, union_epsilon)
    return ErrorAnalysis(tiou, kinds, own, found_by, profile, gains)


def _nearest(
    predictions: IndexedSegments, truth: IndexedSegments, union_epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each prediction the highest tIoU with a truth, whether that has its label, and the highest of its label."""
    nearest, own = np.zeros(len(predictions)), np.zeros(len(predictions))
    same_label = np.zeros(len(predictions), dtype=bool)
    for rows, true_rows, tious in overlapping_pairs(
        predictions.seconds,
        predictions.videos,
        TrueSegments.grouped(truth.seconds, truth.videos),
        lowest=np.finfo(float).tiny,
        union_epsilon=union_epsilon,
    ):
        same = predictions.labels[rows] == truth.labels[true_rows]
        np.maximum.at(nearest, rows, tious)
        np.maximum.at(own, rows[same], tious[same])
        best = tious == nearest[rows]
        same_label[rows[same & best]] = True
    return nearest, same_label, own


def _found_by(
    predictions: IndexedSegments, hits: np.ndarray, ranking: Ranking, tiou: float, union_epsilon: float
) -> np.ndarray:
    """Which prediction hits each truth `[M]`, given those that hit one: each takes the free one it overlaps most."""
    found_by = np.full(len(ranking.truth), -1)
    ranked = hits[np.argsort(-predictions.scores[hits], kind="stable")]
    groups, true_groups = (
        segments.videos * ranking.num_labels + segments.labels
        for segments in (predictions[ranked], ranking.truth)
    )
    truth = TrueSegments.grouped(ranking.truth.seconds, true_groups)
    done = -1
    for rows, true_rows, _ in overlapping_pairs(
        predictions.seconds[ranked], groups, truth, tiou, union_epsilon
    ):
        for row, true_row in zip(rows.tolist(), true_rows.tolist(), strict=True):
            if row != done and found_by[true_row] < 0:
                found_by[true_row] = ranked[row]
                done = row
    return found_by


def _profile_and_gains(
    kinds: np.ndarray, hits: np.ndarray, ranking: Ranking
) -> tuple[np.ndarray, np.ndarray]:
    profile = np.zeros((GROUPS, len(KINDS)), dtype=np.int64)
    num_truths = np.bincount(ranking.truth.labels, minlength=ranking.num_labels)
    with_truth = np.flatnonzero(num_truths)
    gained = np.zeros((len(with_truth), len(KINDS)))
    order = np.lexsort((-ranking.scores, ranking.labels))  # of equal scores the earlier row first
    first = np.searchsorted(ranking.labels[order], np.arange(ranking.num_labels + 1))
    for place, label in enumerate(with_truth.tolist()):
        rows, count = order[first[label] : first[label + 1]], int(num_truths[label])
        groups = np.minimum(np.arange(len(rows)) // count, GROUPS)
        np.add.at(profile, (groups[groups < GROUPS], kinds[rows][groups < GROUPS]), 1)
        mine, its_kinds = hits[rows].astype(np.uint8), kinds[rows]
        before = interpolated_average_precision(mine, [0], count)[0]
        for kind in range(1, len(KINDS)):
            without = interpolated_average_precision(mine[its_kinds != kind], [0], count)[0]
            gained[place, kind] = without - before
    gains = gained.mean(axis=0) if len(with_truth) else np.zeros(len(KINDS))
    return profile, gains
