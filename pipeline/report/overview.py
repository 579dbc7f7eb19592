"""What a page tells of whole runs: the metrics, the curves and the errors, as plain numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.annotations.canonical import Annotations
from pipeline.evaluation.best_f1 import TIOU, best_f1_of
from pipeline.evaluation.detection_map import detection_map_of
from pipeline.evaluation.error_analysis import ErrorAnalysis
from pipeline.evaluation.length_recall import recall_by_length
from pipeline.evaluation.precision_recall import precision_recall
from pipeline.evaluation.protocols import Protocol
from pipeline.evaluation.ranking import Ranking
from pipeline.report.runs import UNSCORED, ReportedRun, scored_run

RECALLS = np.linspace(0, 1, 51)
_SCORE_BINS = 10
_DIGITS = 4


@dataclass(frozen=True)
class ScoredRun:
    """A run with its kinds of errors, and what the page tells of all of it (`figures`, plain JSON)."""

    run: ReportedRun
    figures: dict[str, Any]


def score_run(run: ReportedRun, truth: Annotations, protocol: Protocol) -> ScoredRun:
    """Score a run by the protocol's detection mAP; errors and curves are at its threshold nearest to 0.5.

    Args:
        run: its predictions by the videos and labels of the report.
        truth: of the same videos; its labels are the first of the report's, at least one.
        protocol: thresholds, tIoU, the classes of the mean and the bins of lengths.
    """
    own = protocol.detection
    tiou = error_threshold(protocol)
    thresholds = sorted({*own.thresholds, TIOU})
    scored, ranking, errors = scored_run(run, truth, thresholds, own.union_epsilon, tiou)
    return ScoredRun(scored, _figures(scored, ranking, errors, truth, protocol, tiou))


def error_threshold(protocol: Protocol) -> float:
    """The tIoU threshold of the protocol that is nearest to 0.5."""
    return min(protocol.detection.thresholds, key=lambda threshold: abs(threshold - TIOU))


def _figures(
    run: ReportedRun,
    ranking: Ranking,
    errors: ErrorAnalysis,
    truth: Annotations,
    protocol: Protocol,
    tiou: float,
) -> dict[str, Any]:
    detection = detection_map_of(ranking, truth, protocol.detection)
    column = protocol.detection.thresholds.index(tiou)
    curves = precision_recall(ranking, tiou, RECALLS)
    lengths = recall_by_length(detection.found, truth.instances, protocol.length_edges)
    point = best_f1_of(ranking)
    mean = np.mean(list(curves.values()), axis=0) if curves else np.zeros(len(RECALLS))
    place = {label: index for index, label in enumerate(truth.labels)}
    return {
        "map": _rounded(detection.map_per_threshold),
        "average": round(detection.average, _DIGITS),
        "classes": [place[label] for label in detection.per_class],
        "truths": list(detection.truths_per_class.values()),
        "ap": [_rounded(ap) for ap in detection.per_class.values()],
        "ap_at": column,
        "curve": _rounded(mean),
        "curves": {str(label): _rounded(curve) for label, curve in curves.items()},
        "best_f1": {
            "threshold": point.threshold,
            "precision": round(point.precision, _DIGITS),
            "recall": round(point.recall, _DIGITS),
            "f1": round(point.f1, _DIGITS),
        },
        "lengths": {
            "names": list(lengths.names),
            "counts": lengths.counts.tolist(),
            "recall": [
                None if np.isnan(value) else round(value, _DIGITS) for value in lengths.recall[:, column]
            ],
        },
        "profile": errors.profile.tolist(),
        "gains": _rounded(errors.gains),
        "kinds": np.bincount(errors.kinds, minlength=errors.profile.shape[1]).tolist(),
        "missed": int(errors.missed.sum()),
        "num_truths": len(errors.missed),
        "num_predictions": len(errors.kinds),
        "unscored": int((run.kinds == UNSCORED).sum()),
        "reliability": _reliability(ranking.scores, errors.own_tiou),
    }


def _reliability(scores: np.ndarray, tious: np.ndarray) -> list[list[float]]:
    """`[score, mean tIoU, count]` of equally wide bins of the scores, without the empty ones."""
    if not len(scores):
        return []
    low, high = float(scores.min()), float(scores.max())
    width = (high - low) / _SCORE_BINS or 1.0
    bins = np.minimum(((scores - low) / width).astype(np.int64), _SCORE_BINS - 1)
    counts = np.bincount(bins, minlength=_SCORE_BINS)
    sums = (np.bincount(bins, weights, minlength=_SCORE_BINS) for weights in (scores, tious))
    return [
        [round(score / count, _DIGITS), round(tiou / count, _DIGITS), int(count)]
        for score, tiou, count in zip(*sums, counts, strict=True)
        if count
    ]


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
