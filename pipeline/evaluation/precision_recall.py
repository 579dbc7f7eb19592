"""Precision against recall, as detection mAP integrates it."""

import numpy as np

from pipeline.evaluation.ranking import Ranking


def precision_at(hits: np.ndarray, num_truths: int, recalls: np.ndarray) -> np.ndarray:
    """The interpolated precision at some recalls: the best precision at that recall or a higher one.

    Args:
        hits: `[N]` bool, predictions sorted by falling score.
        num_truths: positives that could have been found, > 0.
        recalls: `[P]` in [0, 1].
    Returns:
        `[P]` in [0, 1]; 0 beyond the highest recall that is reached. Its mean over the recalls 1/G, 2/G, ..., 1 of G
        truths is the average precision.
    """
    places = np.flatnonzero(hits)
    precision = np.arange(1, len(places) + 1) / (places + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    # Recall k / G is reached with the k-th hit; a hair is taken off for recalls that are such a fraction themselves.
    needed = np.maximum(np.ceil(recalls * num_truths - 1e-9).astype(np.int64), 1)
    return envelope[np.minimum(needed - 1, len(places))]


def precision_recall(ranking: Ranking, tiou: float, recalls: np.ndarray) -> dict[int, np.ndarray]:
    """`precision_at` of each label with truth, at a tIoU threshold of the ranking.

    Returns:
        Position of the label -> `[P]`, in the order of labels.
    """
    hits = (ranking.hits >> ranking.thresholds.index(tiou) & 1).astype(bool)
    num_truths = np.bincount(ranking.truth.labels, minlength=ranking.num_labels)
    order = np.lexsort((-ranking.scores, ranking.labels))
    first = np.searchsorted(ranking.labels[order], np.arange(ranking.num_labels + 1))
    return {
        label: precision_at(hits[order[first[label] : first[label + 1]]], int(num_truths[label]), recalls)
        for label in np.flatnonzero(num_truths).tolist()
    }
