"""The score threshold of best F1: where one draws the line when a single set of segments is wanted, not a ranking."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.annotations.canonical import Annotations
from pipeline.evaluation.indexed import index_segments
from pipeline.evaluation.matching import match_by_score
from pipeline.segments.check import check_segments

TIOU = 0.5


@dataclass(frozen=True)
class OperatingPoint:
    """What one keeps by taking every prediction with a score of `threshold` or more.

    Attributes:
        threshold: the score of the last prediction that is kept, or None where no prediction hits anything.
        precision: the part of what is kept that hits a true instance.
        recall: the part of the true instances that is hit.
        f1: their harmonic mean; these three are 0 where the threshold is None.
    """

    threshold: float | None
    precision: float
    recall: float
    f1: float


def best_f1(
    predictions: pa.Table, annotations: Annotations, *, union_epsilon: float = 0.0, tiou: float = TIOU
) -> OperatingPoint:
    """The operating point of highest F1, counted over all classes and videos together (micro).

    Predictions of all classes are ranked by falling score (of equal scores, the earlier row first) and matched with
    instances of their own video and label as in detection mAP, one to one. Predictions of equal score are kept or
    left out together; of thresholds with the same F1 the highest wins. A prediction in a video, or of a label, that
    the annotations do not know is left out; true instances that cannot be hit count as missed.

    Args:
        predictions: table with the columns of `SEGMENTS_SCHEMA`.
        annotations: the truth of one subset.
        union_epsilon: of the tIoU, in seconds.
        tiou: from which on a prediction hits.
    Raises:
        InputError: a column of `predictions` is missing or unusable.
    """
    indexed = index_segments(check_segments(predictions), annotations)
    ranked = indexed[(indexed.videos >= 0) & (indexed.labels >= 0)].best_first()
    truth = index_segments(annotations.instances, annotations)
    count = len(annotations.labels)
    # The matching of the first n predictions is the beginning of the matching of all, so that one is enough.
    hits = match_by_score(
        ranked.seconds,
        ranked.videos * count + ranked.labels,
        truth.seconds,
        truth.videos * count + truth.labels,
        np.array([tiou]),
        union_epsilon,
    ).hits[:, 0]
    if not hits.any():
        return OperatingPoint(None, 0.0, 0.0, 0.0)
    last = np.flatnonzero(np.append(np.diff(ranked.scores) != 0, True))  # of each run of equal scores
    found, kept = np.cumsum(hits)[last], last + 1
    f1 = 2 * found / (kept + len(truth))
    best = int(np.argmax(f1))
    return OperatingPoint(
        threshold=float(ranked.scores[last[best]]),
        precision=float(found[best] / kept[best]),
        recall=float(found[best] / len(truth)),
        f1=float(f1[best]),
    )
