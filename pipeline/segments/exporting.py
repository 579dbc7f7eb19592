"""A segment table in the form of another tool, written to a folder."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.file_names import name_of_any
from pipeline.segments.activitynet_json import results_json
from pipeline.segments.csv_text import csv_text
from pipeline.segments.label_studio import label_studio_config, label_studio_tasks
from pipeline.segments.read import folder_of, read_segments
from pipeline.segments.settings import ExportSegmentsConfig
from pipeline.segments.tables import ordered
from pipeline.segments.threshold import ScoreThreshold, score_threshold
from pipeline.segments.via import via_project
from pipeline.segments.video_files import video_files
from pipeline.segments.webvtt import webvtt
from pipeline.summary import Summary

_WRITING_THREADS = 8  # which wait for storage, most of the time
_EVERYTHING = ("activitynet", "csv")


def export_segments(config: ExportSegmentsConfig) -> Summary:
    """Write the segments of `config.predictions` into the folder `config.out`; files of the same names are replaced.

    `activitynet.json`, `segments.csv`, `<video id>.vtt`, `label_studio.json` with the labelling configuration
    `label_studio.xml`, or `via.json`. Raises InputError where there are no segments or `config.videos` holds no video.
    """
    segments = read_segments(config.predictions)
    threshold = (
        None
        if config.min_score is None and config.format in _EVERYTHING
        else score_threshold(config.min_score, segments)
    )
    kept = segments
    if threshold is not None and config.format != "webvtt":  # subtitles tell the threshold themselves
        kept = segments.filter(pc.greater_equal(segments["score"], threshold.value))
    files = _files(config, segments, kept, threshold)
    urls = {name: storage.join(config.out, name) for name in files}
    with ThreadPoolExecutor(_WRITING_THREADS) as pool:
        for _ in pool.map(lambda name: storage.write_bytes(urls[name], files[name]()), files):
            pass
    count = len(files)
    total = segments.num_rows
    left = (
        int(pc.sum(pc.greater_equal(segments["score"], threshold.value)).as_py() or 0) if threshold else total
    )
    return Summary(
        job="export_segments",
        unit="files",
        total=count,
        done=count,
        outputs={"out": config.out} if count > 2 else dict(zip(files, urls.values(), strict=True)),
        figures={"segments": f"{left} of {total}" + (f", those with {threshold}" if threshold else "")},
    )


def _files(
    config: ExportSegmentsConfig, segments: pa.Table, kept: pa.Table, threshold: ScoreThreshold | None
) -> dict[str, Callable[[], bytes]]:
    """Name of each file -> what makes its content."""
    places = video_files(config.videos, segments["video_id"].unique().to_pylist()) if config.videos else {}
    labels = sorted(segments["label"].unique().to_pylist())
    name = folder_of(config.predictions).rstrip("/").rsplit("/", 1)[-1]
    match config.format:
        case "activitynet":
            return {"activitynet.json": lambda: results_json(kept)}
        case "csv":
            return {"segments.csv": lambda: csv_text(kept).encode()}
        case "label_studio":
            return {
                "label_studio.json": lambda: label_studio_tasks(kept, places, config.fps, name),
                "label_studio.xml": lambda: label_studio_config(labels, config.fps),
            }
        case "via":
            return {"via.json": lambda: via_project(kept, places, name)}
        case "webvtt":
            assert threshold is not None
            return _subtitles(config, ordered(segments), threshold)


def _subtitles(
    config: ExportSegmentsConfig, table: pa.Table, threshold: ScoreThreshold
) -> dict[str, Callable[[], bytes]]:
    """The subtitles of each video of a table in which its rows stand together."""
    runs = table["video_id"].combine_chunks().value_counts() if table.num_rows else []
    files: dict[str, Callable[[], bytes]] = {}
    start = 0
    for run in runs:
        count, part = run["counts"].as_py(), table.slice(start, run["counts"].as_py())
        files[name_of_any(config.out, run["values"].as_py(), ".vtt")] = (
            lambda part=part: webvtt(part, threshold, config.at_a_time).encode()  # type: ignore[misc]
        )
        start += count
    return files
