"""Evaluation: a table of segments against a dataset's truth, by the dataset's published protocol."""

import json
import logging

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.annotations.read import read_subset
from pipeline.errors import InputError
from pipeline.evaluation.average_recall import average_recall
from pipeline.evaluation.best_f1 import best_f1
from pipeline.evaluation.class_agnostic import comparable, is_class_agnostic
from pipeline.evaluation.detection_map import detection_map
from pipeline.evaluation.length_recall import recall_by_length
from pipeline.evaluation.metrics_table import metrics_tables
from pipeline.evaluation.protocols import changed_settings, chosen_protocol
from pipeline.evaluation.result import Evaluation
from pipeline.evaluation.segmentation_map import segmentation_map
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.failures import Failure, read_failures
from pipeline.screen import terminal
from pipeline.segments.activitynet_json import results_json
from pipeline.segments.read import are_complete, folder_of, read_segments
from pipeline.summary import Summary

logger = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> Summary:
    """Score predicted segments against the truth: tables on the screen and metrics.json.

    A line tells where predict has not come to its end, and where videos of the truth have no prediction.
    """
    truth = read_subset(config.dataset, config.dataset.test_subset, raw=True)
    predictions = read_segments(config.predictions, truth.videos["video_id"].to_pylist())
    result = score(predictions, truth, config, complete=are_complete(config.predictions))
    _warn(result, config)
    outputs = {"metrics": storage.join(config.out or folder_of(config.predictions), "metrics.json")}
    storage.write_bytes(outputs["metrics"], json.dumps(result.to_json(), indent=2).encode())
    if config.results_json is not None:
        storage.write_bytes(config.results_json, results_json(predictions))
        outputs["results"] = config.results_json
    for table in metrics_tables(result):
        terminal().print(table)
    lost = _lost(config, truth if not result.class_agnostic else truth.only(truth.labels))
    return Summary(
        job="evaluate",
        unit="videos",
        total=result.num_videos,
        done=result.num_videos - len(lost),
        skipped=len(lost),
        outputs=outputs,
        figures=result.figures(),
        failures=lost,
        failures_in=f"predictions={config.predictions}",
    )


def _lost(config: EvaluateConfig, scored: Annotations) -> list[Failure]:
    """The scored videos that extraction or prediction has lost: nothing is found in them."""
    ids = set(scored.videos["video_id"].to_pylist())
    if not storage.is_folder(config.predictions):
        return []
    found = read_failures(storage.join(config.predictions, "failures"))
    return list({failure.video_id: failure for failure in found if failure.video_id in ids}.values())


def score(
    predictions: pa.Table, truth: Annotations, config: EvaluateConfig, complete: bool | None = None
) -> Evaluation:
    """Every metric that the settings ask for.

    Args:
        predictions: table of `SEGMENTS_SCHEMA`.
        truth: the subset to score on, raw.
        config: the protocol and its changes; says how classes are treated.
        complete: whether the predictions are whole, or None where nobody says.
    Raises:
        InputError: predictions and truth have no video or no label in common, or a metric lacks something.
    """
    name, protocol = chosen_protocol(config)
    agnostic = config.class_agnostic
    if agnostic is None:
        agnostic = is_class_agnostic(predictions, truth)
    _check_overlap(predictions, truth, config, agnostic)
    predictions, truth = comparable(
        predictions, truth, agnostic=agnostic, distinct_truths=config.distinct_truths
    )
    detection = detection_map(predictions, truth, protocol.detection)
    operating_point = segmentation = recall = by_length = None
    if "best_f1" in protocol.metrics:
        operating_point = best_f1(predictions, truth, union_epsilon=protocol.detection.union_epsilon)
    if "seg_map" in protocol.metrics:
        segmentation = segmentation_map(predictions, truth, protocol.segmentation)
    if "ar_at_an" in protocol.metrics:
        recall = average_recall(predictions, truth, protocol.proposals)
    if "recall_by_length" in protocol.metrics:
        by_length = recall_by_length(detection.found, truth.instances, protocol.length_edges)
    return Evaluation(
        dataset=config.dataset.name,
        subset=truth.videos["subset"][0].as_py() if truth.videos.num_rows else config.dataset.test_subset,
        protocol=name,
        changed=changed_settings(config),
        class_agnostic=agnostic,
        num_videos=truth.videos.num_rows,
        num_truths=truth.instances.num_rows,
        num_without_predictions=_count_others(truth.videos["video_id"], predictions["video_id"]),
        predictions_complete=complete,
        metrics=protocol.metrics,
        detection=detection,
        operating_point=operating_point,
        segmentation=segmentation,
        recall=recall,
        by_length=by_length,
    )


def _count_others(video_ids: pa.ChunkedArray, predicted: pa.ChunkedArray) -> int:
    """How many of `video_ids` are not among `predicted`."""
    return len(video_ids) - int(pc.sum(pc.is_in(video_ids, value_set=predicted), min_count=0).as_py())


def _warn(result: Evaluation, config: EvaluateConfig) -> None:
    if result.predictions_complete is False:
        logger.warning(
            "predictions=%s: predict has not come to its end there, and what it has not done counts as not found; "
            "run it again",
            config.predictions,
        )
    if result.num_without_predictions:
        logger.warning(
            "%d of the %d scored videos have no prediction; their actions count as not found",
            result.num_without_predictions,
            result.num_videos,
        )


def _check_overlap(predictions: pa.Table, truth: Annotations, config: EvaluateConfig, agnostic: bool) -> None:
    """A score of 0 should mean bad predictions, not those of another dataset."""
    subset = config.dataset.test_subset
    checks = [("video_id", truth.videos["video_id"].to_pylist(), f"none is a video of subset {subset!r}")]
    if not agnostic:
        remedy = "none is a class of dataset.annotations; class_agnostic=true scores without classes"
        checks.append(("label", truth.labels, remedy))
    for column, known, problem in checks:
        given = predictions[column].unique().to_pylist()
        if given and not set(given) & set(known):
            shown = ", ".join(map(repr, given[:3]))
            raise InputError(f"predictions={config.predictions}: of its {column} values ({shown}) {problem}")
