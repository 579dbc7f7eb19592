"""The published protocol of each dataset: the one place where names become thresholds, rules and bins."""

from dataclasses import dataclass, replace
from typing import Any

from pipeline.evaluation.average_recall import ACTIVITYNET_PROPOSALS, THUMOS_PROPOSALS, ProposalProtocol
from pipeline.evaluation.detection_map import ACTIVITYNET, POINTTAD, THUMOS, DetectionProtocol
from pipeline.evaluation.length_recall import ACTIVITYNET_EDGES, THUMOS_EDGES
from pipeline.evaluation.segmentation_map import (
    POINTTAD_DENSE_CHARADES,
    POINTTAD_DENSE_MULTITHUMOS,
    TSU_DENSE,
    SegmentationProtocol,
)
from pipeline.evaluation.settings import EvaluateConfig, MetricName, ProtocolName


@dataclass(frozen=True)
class Protocol:
    """How a dataset's predictions are scored.

    Attributes:
        metrics: those that are reported unless the user chooses.
        detection: of det-mAP, and of recall by length.
        segmentation: of seg-mAP.
        proposals: of AR@AN.
        length_edges: seconds between the bins of recall by length.
    """

    metrics: tuple[MetricName, ...]
    detection: DetectionProtocol
    segmentation: SegmentationProtocol
    proposals: ProposalProtocol
    length_edges: tuple[float, ...] = THUMOS_EDGES


_SEGMENTS: tuple[MetricName, ...] = ("det_map", "best_f1", "ar_at_an", "recall_by_length")
_DENSE: tuple[MetricName, ...] = ("det_map", "best_f1", "seg_map", "ar_at_an", "recall_by_length")
_CUSTOM = Protocol(
    metrics=_SEGMENTS,
    detection=POINTTAD,
    segmentation=SegmentationProtocol(fps=None, stride=4),
    proposals=ACTIVITYNET_PROPOSALS,
)

PROTOCOLS: dict[ProtocolName, Protocol] = {
    "thumos14": Protocol(
        metrics=_SEGMENTS,
        detection=THUMOS,
        segmentation=POINTTAD_DENSE_MULTITHUMOS,
        proposals=THUMOS_PROPOSALS,
    ),
    "multithumos": Protocol(
        metrics=_DENSE,
        detection=POINTTAD,
        segmentation=POINTTAD_DENSE_MULTITHUMOS,
        proposals=THUMOS_PROPOSALS,
    ),
    "charades": Protocol(
        metrics=_DENSE,
        detection=POINTTAD,
        segmentation=POINTTAD_DENSE_CHARADES,
        proposals=ACTIVITYNET_PROPOSALS,
    ),
    "tsu": Protocol(
        metrics=_DENSE,
        detection=POINTTAD,
        segmentation=TSU_DENSE,
        proposals=ACTIVITYNET_PROPOSALS,
    ),
    "activitynet": Protocol(
        metrics=_SEGMENTS,
        detection=ACTIVITYNET,
        segmentation=SegmentationProtocol(fps=None, stride=16),
        proposals=ACTIVITYNET_PROPOSALS,
        length_edges=ACTIVITYNET_EDGES,
    ),
    "demo": _CUSTOM,
    "custom": _CUSTOM,
}


def protocol_name(dataset: str) -> ProtocolName:
    """The protocol of a dataset of this name; `custom` for one without a published protocol."""
    return next((name for name in PROTOCOLS if name == dataset), "custom")


def chosen_protocol(config: EvaluateConfig) -> tuple[ProtocolName, Protocol]:
    """The protocol that the settings name, or else the dataset, with the settings' changes."""
    name = config.protocol or protocol_name(config.dataset.name)
    base = PROTOCOLS[name]
    detection = {"thresholds": config.thresholds, "union_epsilon": config.union_epsilon}
    return name, replace(
        base,
        metrics=config.metrics or base.metrics,
        detection=replace(base.detection, **_given(detection)),
        segmentation=replace(base.segmentation, **_given(config.segmentation.model_dump())),
        length_edges=config.length_edges or base.length_edges,
    )


def changed_settings(config: EvaluateConfig) -> tuple[str, ...]:
    """The settings by which the numbers differ from the published protocol's."""
    own = {key: getattr(config, key) for key in ("thresholds", "union_epsilon", "length_edges")}
    own["distinct_truths"] = config.distinct_truths or None
    dense = {f"segmentation.{key}": value for key, value in config.segmentation.model_dump().items()}
    return tuple(_given(own | dense))


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}
