"""Settings of evaluation."""

import itertools
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, field_validator

from pipeline.annotations.settings import DatasetConfig
from pipeline.settings import OptionalOutputFolder, OptionalUrl, PredictionsUrl, Settings


def _rising(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if values is not None and (
        not 1 <= len(values) <= 62 or any(low >= high for low, high in itertools.pairwise(values))
    ):
        raise ValueError("must be 1 to 62 rising numbers")
    return values


def _not_empty(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if values == ():
        raise ValueError("must name at least one")
    return values


ProtocolName = Literal["thumos14", "multithumos", "charades", "tsu", "activitynet", "demo", "custom"]
MetricName = Literal["det_map", "best_f1", "seg_map", "ar_at_an", "recall_by_length"]
Threshold = Annotated[float, Field(gt=0, le=1)]


class SegmentationOverride(Settings):
    """Changes to the protocol's seg-mAP; null keeps each."""

    fps: PositiveFloat | None = Field(None, description="frames a second from which the grid is made")
    stride: PositiveInt | None = Field(None, description="frames to a position of the grid")
    index_shift: bool | None = Field(
        None, description="let scores come one position early, as PointTAD's tool does"
    )


class EvaluateConfig(Settings):
    """Settings of jobs/evaluate.py."""

    predictions: PredictionsUrl = Field(
        description="URL of a predict output folder, a Parquet file or ActivityNet results (.json)"
    )
    dataset: DatasetConfig
    protocol: ProtocolName | None = Field(
        None, description="published protocol to score by; null is that of dataset.name, or else custom"
    )
    metrics: Annotated[tuple[MetricName, ...] | None, AfterValidator(_not_empty)] = Field(
        None, description="of det_map, best_f1, seg_map, ar_at_an, recall_by_length; null is the protocol's"
    )
    class_agnostic: bool | None = Field(
        None, description="score without classes; null does where all predictions are labelled 'action'"
    )
    distinct_truths: bool = Field(
        False, description="without classes, count identical true segments once (papers do not)"
    )
    thresholds: Annotated[tuple[Threshold, ...] | None, AfterValidator(_rising)] = Field(
        None, description="rising tIoU thresholds of det-mAP; null is the protocol's"
    )
    union_epsilon: float | None = Field(
        None, ge=0, description="seconds added to the union in det-mAP's tIoU; null is the protocol's"
    )
    length_edges: Annotated[tuple[PositiveFloat, ...] | None, AfterValidator(_rising)] = Field(
        None, description="rising seconds between the bins of recall by length; null is the protocol's"
    )
    segmentation: SegmentationOverride = SegmentationOverride()
    published: bool = Field(
        False, description="show published scores of the same dataset, protocol and kind, too"
    )
    results_json: OptionalUrl = Field(
        None, description="URL to write the predictions to, too, as ActivityNet results JSON"
    )
    out: OptionalOutputFolder = Field(
        None, description="URL of the folder for metrics.json; null is beside the predictions"
    )

    @field_validator("out")
    @classmethod
    def _out_is_a_folder(cls, out: str | None) -> str | None:
        if out is not None and out.endswith(".json"):
            raise ValueError("is the name of a file; give the folder, in which it is called metrics.json")
        return out
