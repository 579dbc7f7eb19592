"""Detection mAP: how well scored segments agree with the truth, class by class, over tIoU thresholds."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from pipeline.annotations.canonical import Annotations
from pipeline.errors import InputError
from pipeline.evaluation.average_precision import interpolated_average_precision
from pipeline.evaluation.indexed import index_segments
from pipeline.evaluation.ranking import Ranking
from pipeline.segments.check import check_segments


@dataclass(frozen=True)
class DetectionProtocol:
    """What a published detection mAP depends on besides predictions and truth.

    Attributes:
        thresholds: rising tIoU thresholds.
        union_epsilon: added to the union in tIoU (seconds); 0 for plain tIoU.
        classes: those that count in the mean: `all` labels of the annotations (one without a true instance
            has AP 0), or only those `with_truth` in the scored videos (all, if none has any).
    """

    thresholds: tuple[float, ...]
    union_epsilon: float = 0.0
    classes: Literal["all", "with_truth"] = "all"


# MultiTHUMOS, Charades and TSU, as PointTAD evaluates.
POINTTAD = DetectionProtocol((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), union_epsilon=1e-4)
# The ActivityNet toolkit, with ActivityNet's thresholds and with those usual for THUMOS14.
ACTIVITYNET = DetectionProtocol((0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95), classes="with_truth")
THUMOS = DetectionProtocol((0.3, 0.4, 0.5, 0.6, 0.7), classes="with_truth")


@dataclass(frozen=True)
class DetectionMAP:
    """The result of `detection_map`. Every AP is a fraction in [0, 1].

    Attributes:
        protocol: how it was computed.
        per_class: AP `[T]` of each label that counts in the mean, in the order of the annotations' labels.
        map_per_threshold: `[T]`, mean over these labels.
        average: mean over the thresholds.
        found: `[M, T]` bool, the true instances that a prediction hit, in the annotations' order.
        truths_per_class: true instances of each label that counts.
        num_predictions: predictions that were scored.
        ignored_video: predictions left out because their video is not in the truth.
        ignored_label: predictions left out because their label is not one of the annotations'.
    """

    protocol: DetectionProtocol
    per_class: dict[str, np.ndarray]
    map_per_threshold: np.ndarray
    average: float
    found: np.ndarray
    truths_per_class: dict[str, int]
    num_predictions: int
    ignored_video: int
    ignored_label: int

    def by_threshold(self, values: np.ndarray) -> dict[str, float]:
        """`values [T]` keyed by threshold (`"0.5"`), with their `average`."""
        keyed = {f"{t:g}": float(v) for t, v in zip(self.protocol.thresholds, values, strict=True)}
        return keyed | {"average": float(values.mean())}


def detection_map(
    predictions: pa.Table, annotations: Annotations, protocol: DetectionProtocol = POINTTAD
) -> DetectionMAP:
    """Score predictions against the truth of one subset.

    For each class the predictions of all videos are ranked by falling score (of equal scores, the earlier
    row first) and matched within their video as `match_by_score` says. A label without predictions has AP 0.
    True instances that are reversed or of no length cannot be hit, but count as positives.

    Args:
        predictions: table with the columns of `SEGMENTS_SCHEMA`.
        annotations: the truth, usually `read_...(..., raw=True).subset(...)`.
        protocol: thresholds, tIoU and the classes of the mean.
    Raises:
        InputError: a column of `predictions` is missing or unusable, or the annotations have no label.
    """
    if not annotations.labels:
        raise InputError("the annotations have no class, so there is nothing to average over")
    ranking = Ranking(annotations, protocol.thresholds, protocol.union_epsilon)
    ranking.add(index_segments(check_segments(predictions), annotations))
    return detection_map_of(ranking, annotations, protocol)


def detection_map_of(
    ranking: Ranking, annotations: Annotations, protocol: DetectionProtocol = POINTTAD
) -> DetectionMAP:
    """`detection_map` of predictions that are matched already.

    Args:
        ranking: of the same annotations; it knows the protocol's thresholds, and may know more.
        annotations: the truth, with at least one label.
        protocol: thresholds and the classes of the mean.
    """
    num_labels = len(annotations.labels)
    num_truths = np.bincount(ranking.truth.labels, minlength=num_labels)
    everyone = protocol.classes == "all" or not len(ranking.truth)
    counted = [c for c in range(num_labels) if everyone or num_truths[c]]
    ap = np.zeros((num_labels, len(protocol.thresholds)))
    columns = [ranking.thresholds.index(threshold) for threshold in protocol.thresholds]
    by_label = np.argsort(ranking.labels, kind="stable")
    ends = np.cumsum(np.bincount(ranking.labels, minlength=num_labels))
    for label, rows in enumerate(np.split(by_label, ends[:-1])):
        if not num_truths[label]:
            continue
        ranked = rows[np.argsort(-ranking.scores[rows], kind="stable")]
        ap[label] = interpolated_average_precision(ranking.hits[ranked], columns, num_truths[label])
    names = [annotations.labels[c] for c in counted]
    map_per_threshold = ap[counted].mean(axis=0)
    return DetectionMAP(
        protocol=protocol,
        per_class=dict(zip(names, ap[counted], strict=True)),
        map_per_threshold=map_per_threshold,
        average=float(map_per_threshold.mean()),
        found=ranking.found[:, columns],
        truths_per_class=dict(zip(names, num_truths[counted].tolist(), strict=True)),
        num_predictions=len(ranking.scores),
        ignored_video=ranking.ignored_video,
        ignored_label=ranking.ignored_label,
    )
