"""Evaluation: a table of segments against a dataset's truth."""

import json
import posixpath

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.annotations.read import read_subset
from pipeline.config import EvaluateConfig
from pipeline.errors import InputError
from pipeline.evaluation.detection_map import DetectionMAP, DetectionProtocol, detection_map
from pipeline.evaluation.metrics_table import metrics_table
from pipeline.evaluation.segments_table import check_segments
from pipeline.inference.schema import SEGMENTS_SCHEMA
from pipeline.job import terminal
from pipeline.summary import Summary


def evaluate(config: EvaluateConfig) -> Summary:
    """Score predicted segments against the truth: a table on the screen and metrics.json."""
    result = score(config)
    terminal().print(metrics_table(result))
    out = config.out or storage.join(_folder_of(config.predictions), "metrics.json")
    metrics = {"dataset": config.dataset.name, "subset": config.dataset.test_subset, **result.metrics()}
    storage.write_bytes(out, json.dumps(metrics, indent=2).encode())
    return Summary(
        job="evaluate",
        unit="videos",
        total=result.num_videos,
        done=result.num_videos,
        outputs={"metrics": out},
        figures={"average detection mAP": f"{100 * result.average:.2f} %"},
    )


def score(config: EvaluateConfig) -> DetectionMAP:
    """Detection mAP by the protocol that the configuration asks for."""
    truth = read_subset(config.dataset, config.dataset.test_subset, raw=True)
    protocol = DetectionProtocol(config.dataset.name, config.thresholds, config.union_epsilon)
    return detection_map(read_segments(config.predictions), truth, protocol)


def read_segments(predictions: str) -> pa.Table:
    """The segments that predict wrote: all of `<predictions>/segments/`, or one Parquet file of that schema.

    Raises InputError where there are none, or the table has other columns.
    """
    folder = storage.join(predictions, "segments")
    if storage.is_folder(folder):
        files = [file.url for file in storage.list_files(folder) if file.url.endswith(".parquet")]
    elif storage.exists(predictions) and not storage.is_folder(predictions):
        files = [predictions]
    else:
        raise InputError(
            f"predictions={predictions}: neither a folder with segments/ nor a Parquet file; run predict first"
        )
    return pa.concat_tables([SEGMENTS_SCHEMA.empty_table(), *map(_read_file, files)])


def _read_file(url: str) -> pa.Table:
    with storage.open_read(url) as stream:
        try:
            table = pq.read_table(stream)
        except pa.ArrowInvalid as error:
            raise InputError(f"{url}: not a Parquet file ({error})") from error
    return check_segments(table, url)


def _folder_of(predictions: str) -> str:
    return predictions if storage.is_folder(predictions) else posixpath.dirname(predictions)
