"""`results/`: segments in forms that people and other tools open.

<folder>/segments.csv       every segment, a line each
<folder>/activitynet.json   every segment, as ActivityNet results
<folder>/<video id>.vtt     the subtitles of one video: the segments from a score on
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.file_names import name_of_any
from pipeline.records import DamagedRecordError, read_record
from pipeline.segments.activitynet_json import results_json
from pipeline.segments.csv_text import csv_text
from pipeline.segments.tables import ordered
from pipeline.segments.threshold import ScoreThreshold
from pipeline.segments.webvtt import webvtt

_WRITING_THREADS = 8  # which wait for storage, most of the time
_CSV, _JSON, _SUBTITLES = "segments.csv", "activitynet.json", ".vtt"


@dataclass(frozen=True)
class _Results:
    results: dict[str, list[dict[str, Any]]]


def write_results(
    folder: str,
    segments: pa.Table,
    threshold: ScoreThreshold,
    *,
    video_ids: Sequence[str] = (),
    at_a_time: int = 3,
) -> None:
    """Make `folder` say what `segments` says; what earlier calls wrote of other videos goes.

    Args:
        folder: URL; made where there is none. Files of other names in it are left alone.
        segments: table of `SEGMENTS_SCHEMA`.
        threshold: from which on the subtitles show segments.
        video_ids: videos that have files though they may have no segment.
        at_a_time: subtitles on the screen at once, at most.
    """
    table = ordered(segments)
    by_video = _by_video(table)
    names = {video_id: name_of_any(folder, video_id, _SUBTITLES) for video_id in {*video_ids, *by_video}}
    for name in _subtitles_in(folder) - set(names.values()):
        storage.remove(storage.join(folder, name))
    # First, for it tells which files are ours, also after a kill.
    storage.write_bytes(storage.join(folder, _JSON), results_json(table, sorted(names)))
    storage.write_bytes(storage.join(folder, _CSV), csv_text(table).encode())

    def write(video_id: str) -> None:
        text = webvtt(by_video.get(video_id, table.slice(0, 0)), threshold, at_a_time)
        storage.write_bytes(storage.join(folder, names[video_id]), text.encode())

    with ThreadPoolExecutor(_WRITING_THREADS) as pool:
        for _ in pool.map(write, names):
            pass


def remove_results(folder: str) -> None:
    """Delete what `write_results` wrote into `folder`, and nothing else."""
    for name in (*_subtitles_in(folder), _CSV, _JSON):
        storage.remove(storage.join(folder, name))


def _subtitles_in(folder: str) -> set[str]:
    """The names of the subtitles that earlier calls wrote, of the videos in their ActivityNet results."""
    try:
        written = read_record(storage.join(folder, _JSON), _Results, "ActivityNet results")
    except DamagedRecordError:
        return set()  # not ours
    return {name_of_any(folder, video_id, _SUBTITLES) for video_id in written.results} if written else set()


def _by_video(table: pa.Table) -> dict[str, pa.Table]:
    """The rows of each video of a table in which they stand together."""
    runs = table["video_id"].combine_chunks().value_counts() if table.num_rows else []
    parts, start = {}, 0
    for run in runs:
        count = run["counts"].as_py()
        parts[run["values"].as_py()] = table.slice(start, count)
        start += count
    return parts
