"""Detection mAP: how well scored segments agree with the truth, class by class, over tIoU thresholds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.annotations.canonical import Annotations
from pipeline.errors import InputError
from pipeline.evaluation.average_precision import interpolated_average_precision
from pipeline.evaluation.matching import match_by_score
from pipeline.evaluation.segments_table import check_segments

TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class DetectionProtocol:
    """What a published detection mAP depends on besides predictions and truth.

    Attributes:
        name: goes into `metrics.json`.
        thresholds: rising tIoU thresholds.
        union_epsilon: added to the union in tIoU (seconds); 0 for plain tIoU.
    """

    name: str
    thresholds: tuple[float, ...] = TENTHS
    union_epsilon: float = 0.0


POINTTAD = DetectionProtocol("pointtad", TENTHS, union_epsilon=1e-4)


@dataclass(frozen=True)
class DetectionMAP:
    """The result of `detection_map`. Every AP is a fraction in [0, 1].

    Attributes:
        protocol: how it was computed.
        per_class: AP `[T]` of each label, in the order of the annotations' labels.
        map_per_threshold: `[T]`, mean over the labels.
        average: mean over the thresholds.
        num_videos: videos in the truth.
        truths_per_class: true instances of each label.
        num_predictions: predictions that were scored.
        ignored_video: predictions left out because their video is not in the truth.
        ignored_label: predictions left out because their label is not one of the annotations'.
    """

    protocol: DetectionProtocol
    per_class: dict[str, np.ndarray]
    map_per_threshold: np.ndarray
    average: float
    num_videos: int
    truths_per_class: dict[str, int]
    num_predictions: int
    ignored_video: int
    ignored_label: int

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`: plain numbers and strings, AP as fractions keyed by threshold."""
        return {
            "protocol": self.protocol.name,
            "union_epsilon": self.protocol.union_epsilon,
            "det_map": self._by_threshold(self.map_per_threshold),
            "per_class": {label: self._by_threshold(ap) for label, ap in self.per_class.items()},
            "num_videos": self.num_videos,
            "num_truths": sum(self.truths_per_class.values()),
            "num_predictions": self.num_predictions,
            "ignored_video": self.ignored_video,
            "ignored_label": self.ignored_label,
        }

    def _by_threshold(self, ap: np.ndarray) -> dict[str, float]:
        keyed = {f"{t:g}": float(value) for t, value in zip(self.protocol.thresholds, ap, strict=True)}
        return keyed | {"average": float(ap.mean())}


def detection_map(
    predictions: pa.Table, annotations: Annotations, protocol: DetectionProtocol = POINTTAD
) -> DetectionMAP:
    """Score predictions against the truth of one subset.

    For each class the predictions of all videos are ranked by falling score (of equal scores, the earlier
    row first) and matched within their video as `match_by_score` says. Every label counts in the mean: one
    without predictions, or without a true instance, has AP 0. True instances that are reversed or of no
    length cannot be hit, but count as positives.

    Args:
        predictions: table with the columns of `SEGMENTS_SCHEMA`.
        annotations: the truth, usually `read_...(..., raw=True).subset(...)`.
        protocol: thresholds and tIoU; the default is PointTAD's, of MultiTHUMOS, Charades and TSU.
    Raises:
        InputError: a column of `predictions` is missing or unusable, or the annotations have no label.
    """
    if not annotations.labels:
        raise InputError("the annotations have no class, so there is nothing to average over")
    table = check_segments(predictions)
    video, label = _indices(table, annotations)
    known = np.flatnonzero((video >= 0) & (label >= 0))
    ranked = known[np.argsort(-table["score"].to_numpy()[known], kind="stable")]
    truth_video, truth_label = _indices(annotations.instances, annotations)

    num_labels = len(annotations.labels)
    hits = match_by_score(
        _segments(table)[ranked],
        video[ranked] * num_labels + label[ranked],
        _segments(annotations.instances),
        truth_video * num_labels + truth_label,
        np.array(protocol.thresholds),
        protocol.union_epsilon,
    )
    num_truths = np.bincount(truth_label, minlength=num_labels).tolist()
    ap = np.stack(
        [interpolated_average_precision(hits[label[ranked] == c], num_truths[c]) for c in range(num_labels)]
    )
    map_per_threshold = ap.mean(axis=0)
    return DetectionMAP(
        protocol=protocol,
        per_class=dict(zip(annotations.labels, ap, strict=True)),
        map_per_threshold=map_per_threshold,
        average=float(map_per_threshold.mean()),
        num_videos=annotations.videos.num_rows,
        truths_per_class=dict(zip(annotations.labels, num_truths, strict=True)),
        num_predictions=len(ranked),
        ignored_video=int(np.sum(video < 0)),
        ignored_label=int(np.sum((video >= 0) & (label < 0))),
    )


def _indices(table: pa.Table, annotations: Annotations) -> tuple[np.ndarray, np.ndarray]:
    """Positions of each row's video and label in the annotations, -1 where they have none."""
    labels = pa.array(annotations.labels, type=pa.string())
    video = pc.fill_null(pc.index_in(table["video_id"], annotations.videos["video_id"]), -1)
    label = pc.fill_null(pc.index_in(table["label"], labels), -1)
    return video.to_numpy().astype(np.int64), label.to_numpy().astype(np.int64)


def _segments(table: pa.Table) -> np.ndarray:
    return np.stack([table["t_start"].to_numpy(), table["t_end"].to_numpy()], axis=1)
