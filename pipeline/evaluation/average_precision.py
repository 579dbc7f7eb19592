"""Average precision of a ranked list, as detection and as segmentation define it."""

import numpy as np


def interpolated_average_precision(hits: np.ndarray, num_truths: int) -> np.ndarray:
    """Area under the interpolated precision-recall curve, of detections.

    The precision at a recall is the best precision at that recall or any higher one; the curve falls to 0
    after the highest recall reached.

    Args:
        hits: `[N, T]` bool, predictions sorted by falling score, one column a tIoU threshold.
        num_truths: positives that could have been found; 0 gives an AP of 0.
    Returns:
        `[T]` in [0, 1].
    """
    if num_truths == 0 or len(hits) == 0:
        return np.zeros(hits.shape[1])
    precision = np.cumsum(hits, axis=0) / np.arange(1, len(hits) + 1)[:, None]
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    # Recall grows by 1 / num_truths at each hit and nowhere else.
    return np.sum(envelope, axis=0, where=hits) / num_truths


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Mean over the positives of the precision at their rank, of frames (the APMeter); not interpolated.

    Args:
        scores: `[N]`; of equal scores the earlier one ranks first.
        positive: `[N]` bool; none gives an AP of 0.
    """
    ranks = np.flatnonzero(positive[np.argsort(-scores, kind="stable")]) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else 0.0
