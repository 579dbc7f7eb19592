"""The score threshold of best F1: where one draws the line when a single set of segments is wanted, not a ranking."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.annotations.canonical import Annotations
from pipeline.evaluation.indexed import index_segments
from pipeline.evaluation.ranking import Ranking
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
    ranking = Ranking(annotations, (tiou,), union_epsilon)
    ranking.add(index_segments(check_segments(predictions), annotations))
    return best_f1_of(ranking, tiou)


def best_f1_of(ranking: Ranking, tiou: float = TIOU) -> OperatingPoint:
    """`best_f1` of predictions that are matched already, `tiou` among the thresholds."""
    # The matching of the first n predictions is the beginning of the matching of all, so that one is enough.
    order = np.argsort(-ranking.scores, kind="stable")
    hits = np.flatnonzero(ranking.hits[order] >> ranking.thresholds.index(tiou) & 1)
    if not len(hits):
        return OperatingPoint(None, 0.0, 0.0, 0.0)
    worse = -ranking.scores[order]
    # Where no prediction of a score hits, the next better score has a better F1.
    kept = np.unique(np.searchsorted(worse, worse[hits], side="right"))
    found = np.searchsorted(hits, kept)
    num_truths = len(ranking.truth)
    f1 = 2 * found / (kept + num_truths)
    best = int(np.argmax(f1))
    return OperatingPoint(
        threshold=float(-worse[kept[best] - 1]),
        precision=float(found[best] / kept[best]),
        recall=float(found[best] / num_truths),
        f1=float(f1[best]),
    )
