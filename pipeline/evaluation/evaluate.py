"""Evaluation: a table of segments against a dataset's truth, by the dataset's published protocol."""

import json
import logging
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.annotations.read import read_subset
from pipeline.errors import InputError
from pipeline.evaluation.average_recall import ProposalRecall
from pipeline.evaluation.best_f1 import TIOU, best_f1_of
from pipeline.evaluation.blocks import Overview, Tables, blocks, gathered, look_over, tables_of
from pipeline.evaluation.class_agnostic import know_no_class, truth_without_classes
from pipeline.evaluation.detection_map import detection_map_of
from pipeline.evaluation.length_recall import recall_by_length
from pipeline.evaluation.metrics_table import metrics_tables
from pipeline.evaluation.protocols import changed_settings, chosen_protocol
from pipeline.evaluation.published import tables_beside
from pipeline.evaluation.ranking import Ranking
from pipeline.evaluation.result import Evaluation
from pipeline.evaluation.segmentation_map import DenseScores
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.failures import Failure, read_failures
from pipeline.screen import terminal
from pipeline.segments.activitynet_json import results_json
from pipeline.segments.flattened import segment_files
from pipeline.segments.read import are_complete, folder_of, read_segments, read_tables
from pipeline.summary import Summary

logger = logging.getLogger(__name__)


def evaluate(config: EvaluateConfig) -> Summary:
    """Score predicted segments against the truth: tables on the screen and metrics.json.

    A line tells where predict has not come to its end, and where videos of the truth have no prediction.
    """
    truth = read_subset(config.dataset, config.dataset.test_subset, raw=True)
    video_ids = truth.videos["video_id"].to_pylist()
    if storage.is_folder(config.predictions):
        result = _score_folder(truth, config)
    else:
        result = score(read_segments(config.predictions, video_ids), truth, config)
    _warn(result, config)
    outputs = {"metrics": storage.join(config.out or folder_of(config.predictions), "metrics.json")}
    storage.write_bytes(outputs["metrics"], json.dumps(result.to_json(), indent=2).encode())
    if config.results_json is not None:
        storage.write_bytes(config.results_json, results_json(read_segments(config.predictions, video_ids)))
        outputs["results"] = config.results_json
    beside = tables_beside(result, config.dataset) if config.published else []
    for table in [*metrics_tables(result), *beside]:
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


def _score_folder(truth: Annotations, config: EvaluateConfig) -> Evaluation:
    """`score` of a folder that predict wrote, from the beginning where its files are merged meanwhile."""
    complete = are_complete(config.predictions)
    while True:
        files = segment_files(config.predictions)
        try:
            return score_tables(partial(read_tables, config.predictions, ()), truth, config, complete)
        except InputError:
            if segment_files(config.predictions) == files:
                raise


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
    return score_tables(tables_of(predictions), truth, config, complete)


def score_tables(
    tables: Tables, truth: Annotations, config: EvaluateConfig, complete: bool | None = None
) -> Evaluation:
    """`score` of predictions that are read table by table, twice."""
    name, protocol = chosen_protocol(config)
    tables = gathered(tables, truth.videos.num_rows)
    overview = look_over(tables, truth)
    agnostic = config.class_agnostic
    if agnostic is None:
        agnostic = know_no_class(overview.labels, truth)
    _check_overlap(overview, truth, config, agnostic)
    predicted = truth.videos["video_id"].filter(pa.array(overview.predicted))
    if agnostic:
        truth = truth_without_classes(truth, distinct_truths=config.distinct_truths)
    wanted, own = protocol.metrics, protocol.detection
    thresholds = {*own.thresholds, *([TIOU] if "best_f1" in wanted else [])}
    if not truth.labels:
        raise InputError("the annotations have no class, so there is nothing to average over")
    ranking = Ranking(truth, sorted(thresholds), own.union_epsilon)
    dense = DenseScores(truth, protocol.segmentation) if "seg_map" in wanted else None
    recall = ProposalRecall(truth, protocol.proposals) if "ar_at_an" in wanted else None
    for block in blocks(tables, truth, agnostic=agnostic, whole=overview.whole):
        ranking.add(block)
        if dense is not None:
            dense.add(block)
        if recall is not None:
            recall.add(block)
    detection = detection_map_of(ranking, truth, own)
    by_length = None
    if "recall_by_length" in wanted:
        by_length = recall_by_length(detection.found, truth.instances, protocol.length_edges)
    return Evaluation(
        dataset=config.dataset.name,
        subset=truth.videos["subset"][0].as_py() if truth.videos.num_rows else config.dataset.test_subset,
        protocol=name,
        changed=changed_settings(config),
        class_agnostic=agnostic,
        num_videos=truth.videos.num_rows,
        num_truths=truth.instances.num_rows,
        num_without_predictions=_count_others(truth.videos["video_id"], predicted),
        predictions_complete=complete,
        metrics=protocol.metrics,
        detection=detection,
        operating_point=best_f1_of(ranking) if "best_f1" in wanted else None,
        segmentation=dense.result() if dense is not None else None,
        recall=recall.result() if recall is not None else None,
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


def _check_overlap(overview: Overview, truth: Annotations, config: EvaluateConfig, agnostic: bool) -> None:
    """A score of 0 should mean bad predictions, not those of another dataset."""
    subset = config.dataset.test_subset
    known = bool(overview.predicted.any())
    checks = [("video_id", overview.video_ids, known, f"none is a video of subset {subset!r}")]
    if not agnostic:
        remedy = "none is a class of dataset.annotations; class_agnostic=true scores without classes"
        checks.append(("label", overview.labels, bool(set(overview.labels) & set(truth.labels)), remedy))
    for column, given, is_known, problem in checks:
        if given and not is_known:
            shown = ", ".join(map(repr, given[:3]))
            raise InputError(f"predictions={config.predictions}: of its {column} values ({shown}) {problem}")
