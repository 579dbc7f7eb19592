"""Average precision of a ranked list, as detection defines it."""

from collections.abc import Sequence

import numpy as np


def interpolated_average_precision(hits: np.ndarray, bits: Sequence[int], num_truths: int) -> np.ndarray:
    """Area under the interpolated precision-recall curve, of detections.

    The precision at a recall is the best precision at that recall or any higher one; the curve falls to 0
    after the highest recall reached.

    Args:
        hits: `[N]` unsigned, predictions sorted by falling score; a bit of it tells of a hit at a tIoU threshold.
        bits: which bits to look at, one for each of T thresholds.
        num_truths: positives that could have been found; 0 gives an AP of 0.
    Returns:
        `[T]` in [0, 1].
    """
    return np.array([_area(np.flatnonzero((hits >> bit) & 1), num_truths) for bit in bits])


def _area(places: np.ndarray, num_truths: int) -> float:
    if not len(places) or not num_truths:
        return 0.0
    # Between hits precision falls, so the best one from a hit on is that of a hit.
    precision = np.arange(1, len(places) + 1) / (places + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall grows by 1 / num_truths at each hit and nowhere else.
    return float(np.add.accumulate(envelope)[-1] / num_truths)
