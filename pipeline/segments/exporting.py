"""A segment table in the form of another tool, written to a folder."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.file_names import name_of_any
from pipeline.segments.activitynet_json import results_json
from pipeline.segments.csv_text import csv_text
from pipeline.segments.editing import cut_list_edl, markers_otio
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
    `label_studio.xml`, `via.json`, or `<video id>.otio` or `.edl`. Raises InputError where there are no segments,
    `config.videos` holds no video, or a form needs a package that is not installed.
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
            return _of_each_video(
                config.out,
                segments,
                ".vtt",
                lambda _, table: webvtt(table, threshold, config.at_a_time).encode(),
            )
        case "otio" | "edl":
            write = markers_otio if config.format == "otio" else cut_list_edl
            return _of_each_video(
                config.out,
                kept,
                f".{config.format}",
                lambda video_id, table: write(table, video_id, places.get(video_id), config.fps),
            )


def _of_each_video(
    out: str, segments: pa.Table, suffix: str, content: Callable[[str, pa.Table], bytes]
) -> dict[str, Callable[[], bytes]]:
    """A file for each video: its name below `out`, and what makes its content of the video's id and segments."""
    table = ordered(segments)
    runs = table["video_id"].combine_chunks().value_counts() if table.num_rows else []
    files: dict[str, Callable[[], bytes]] = {}
    start = 0
    for run in runs:
        video_id, count = run["values"].as_py(), run["counts"].as_py()
        files[name_of_any(out, video_id, suffix)] = partial(content, video_id, table.slice(start, count))
        start += count
    return files
