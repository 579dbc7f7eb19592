"""Everything that an evaluation found, and its form in metrics.json."""

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.evaluation.average_recall import AverageRecall
from pipeline.evaluation.best_f1 import TIOU, OperatingPoint
from pipeline.evaluation.detection_map import DetectionMAP
from pipeline.evaluation.length_recall import LengthRecall
from pipeline.evaluation.segmentation_map import SegmentationMAP
from pipeline.evaluation.settings import MetricName

# The AN that papers quote.
QUOTED_AN = (1, 5, 10, 50, 100)


@dataclass(frozen=True)
class Evaluation:
    """The scores of a table of segments.

    Attributes:
        dataset, subset: whose truth it was.
        protocol: name of the published protocol.
        changed: the settings in which the evaluation departed from it.
        class_agnostic: classes were left out.
        num_videos: videos of the truth.
        num_truths: true instances.
        num_without_predictions: videos of the truth without any predicted segment.
        predictions_complete: whether predict came to its end where the segments lie; None where nothing says.
        metrics: those that are reported.
        detection: detection mAP; always there, since the counts come from it.
        operating_point: the threshold of best F1, where reported.
        segmentation, recall, by_length: segmentation mAP, AR@AN and recall by action length, where reported.
    """

    dataset: str
    subset: str
    protocol: str
    changed: tuple[str, ...]
    class_agnostic: bool
    num_videos: int
    num_truths: int
    num_without_predictions: int
    predictions_complete: bool | None
    metrics: tuple[MetricName, ...]
    detection: DetectionMAP
    operating_point: OperatingPoint | None
    segmentation: SegmentationMAP | None
    recall: AverageRecall | None
    by_length: LengthRecall | None

    def to_json(self) -> dict[str, Any]:
        """The content of metrics.json: plain numbers and strings; every score a fraction in [0, 1]."""
        return {
            "dataset": self.dataset,
            "subset": self.subset,
            "protocol": self.protocol,
            "protocol_changed": list(self.changed),
            "class_agnostic": self.class_agnostic,
            "num_videos": self.num_videos,
            "num_truths": self.num_truths,
            "num_without_predictions": self.num_without_predictions,
            "predictions_complete": self.predictions_complete,
            "num_predictions": self.detection.num_predictions,
            "ignored_video": self.detection.ignored_video,
            "ignored_label": self.detection.ignored_label,
            **self._detection(),
            **self._best_f1(),
            **self._segmentation(),
            **self._recall(),
            **self._by_length(),
        }

    def figures(self) -> dict[str, str]:
        """The numbers of one line each, by name: scores in percent, then what is missing of the predictions."""
        values = {}
        if "det_map" in self.metrics:
            values["average detection mAP"] = self.detection.average
        if self.segmentation is not None:
            values["segmentation mAP"] = self.segmentation.mean
        if self.recall is not None:
            values["AUC of AR@AN"] = self.recall.auc
        figures = {name: f"{100 * value:.2f} %" for name, value in values.items()}
        if self.num_without_predictions:
            figures["videos without predictions"] = f"{self.num_without_predictions} of {self.num_videos}"
        if self.predictions_complete is False:
            figures["predictions"] = "not complete: predict has not come to its end"
        return figures

    def quoted_recall(self) -> dict[str, float]:
        """AR at the AN that papers quote."""
        if self.recall is None:
            return {}
        return {str(an): float(self.recall.at[an - 1]) for an in QUOTED_AN if an <= len(self.recall.at)}

    def _detection(self) -> dict[str, Any]:
        if "det_map" not in self.metrics:
            return {}
        found = self.detection
        return {
            "union_epsilon": found.protocol.union_epsilon,
            "det_map": found.by_threshold(found.map_per_threshold),
            "per_class": {label: found.by_threshold(ap) for label, ap in found.per_class.items()},
        }

    def _best_f1(self) -> dict[str, Any]:
        return (
            {}
            if self.operating_point is None
            else {"best_f1": {"tiou": TIOU, **asdict(self.operating_point)}}
        )

    def _segmentation(self) -> dict[str, Any]:
        if self.segmentation is None:
            return {}
        protocol = self.segmentation.protocol
        return {
            "seg_map": self.segmentation.mean,
            "seg_fps": protocol.fps,
            "seg_stride": protocol.stride,
            "seg_index_shift": protocol.index_shift,
            "seg_per_class": self.segmentation.per_class,
        }

    def _recall(self) -> dict[str, Any]:
        return {} if self.recall is None else {"ar_at_an": self.quoted_recall(), "auc": self.recall.auc}

    def _by_length(self) -> dict[str, Any]:
        if self.by_length is None:
            return {}
        bins = list(zip(self.by_length.names, self.by_length.counts, self.by_length.recall, strict=True))
        return {
            "recall_by_length": {
                name: self.detection.by_threshold(recall) if count else None for name, count, recall in bins
            },
            "truths_by_length": {name: int(count) for name, count, _ in bins},
        }
