"""What the rows of a store say of its videos, by dictionaries and loops: the rules once more, a row at a time."""

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import parquet
from pipeline.failures import Failure, FailureKind, split_error
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from pipeline.features.video_features import StoredChunk, VideoFeatures

Row = dict[str, Any]


def plain_index(store: FeatureStore) -> tuple[dict[str, VideoFeatures], dict[str, int], set[str], set[str]]:
    """The videos by id, their editions, the outdated chunks and the recorded ones, from the files themselves."""
    planned = {
        row["video_id"]: row | {"edition": row["edition"] or 0}
        for row in store.plan().to_pylist()
        if row["chunk_index"] == row["num_chunks"] - 1
    }
    videos: dict[str, dict[str, Row]] = {}
    editions: dict[str, int] = {}
    outdated: dict[str, str] = {}
    for url in parquet.list_parquet(store.folder("features")):
        for row in rows_of(url):
            video_id = row["video_id"]
            if row["edition"]:
                editions[video_id] = max(row["edition"], editions.get(video_id, 0))
            if video_id in planned and row["edition"] != planned[video_id]["edition"]:
                outdated[row["chunk_id"]] = video_id
                continue
            chunks = videos.setdefault(video_id, {})
            before = chunks.get(row["chunk_id"])
            if before is None or doubt(row) <= doubt(before):
                chunks[row["chunk_id"]] = row
    index = {
        video_id: video_of(
            store.spec.timeline, planned.get(video_id), list(videos.get(video_id, {}).values())
        )
        for video_id in sorted(planned.keys() | videos.keys())
    }
    old = {chunk for chunk, video_id in outdated.items() if chunk not in videos.get(video_id, {})}
    return index, editions, old, {chunk for chunks in videos.values() for chunk in chunks}


def rows_of(url: str) -> list[Row]:
    """The rows of a features file with their places, none of a broken one."""
    try:
        file = pq.ParquetFile(url)
    except pa.ArrowInvalid:
        return []
    return [
        row | {"edition": row.get("edition") or 0, "file": url, "row_group": group, "row": number}
        for group in range(file.num_row_groups)
        for number, row in enumerate(file.read_row_group(group).to_pylist())
    ]


def doubt(row: Row) -> tuple[bool, float]:
    return row["error"] is not None, row["duration"]


def video_of(timeline: Timeline, planned: Row | None, rows: list[Row]) -> VideoFeatures:
    first = planned or max(rows, key=lambda row: row["duration"])
    timeline = replace(timeline, fps=first["fps"])
    duration = min(row["duration"] for row in [first, *rows])
    cut_short = duration < first["duration"]
    if cut_short:
        whole = timeline.num_snippets(timeline.num_frames(duration))
    elif planned:
        whole = first["first_snippet"] + first["num_snippets"]
    else:
        whole = sum(row["num_snippets"] for row in rows)
    rows = sorted(rows, key=lambda row: row["chunk_index"])
    inside = [row for row in rows if row["first_snippet"] < whole]
    lost = [row for row in inside if row["error"] is not None]
    return VideoFeatures(
        video_id=first["video_id"],
        uri=first["uri"],
        duration=duration,
        timeline=timeline,
        num_snippets=whole,
        chunks=tuple(
            StoredChunk(r["first_snippet"], r["num_snippets"], r["file"], r["row_group"], r["row"])
            for r in inside
            if r["error"] is None
        ),
        failure=failure_of(lost) if lost else None,
        lost_chunks=tuple(row["chunk_id"] for row in lost),
        unanswered_chunks=tuple(
            row["chunk_id"] for row in lost if split_error(row["error"])[0] is FailureKind.STORAGE
        ),
        stated_duration=first["duration"] if cut_short else None,
        empty_chunks=len(rows) - len(inside),
    )


def failure_of(lost: list[Row]) -> Failure:
    kind, message = split_error(lost[0]["error"])
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    where = f"chunk {lost[0]['chunk_index'] + 1} of {lost[0]['num_chunks']}"
    return Failure(lost[0]["video_id"], lost[0]["uri"], "extract", kind, f"{message} ({where}{more})")
