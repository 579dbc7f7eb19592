"""Merged detections as Arrow tables, and back to one row a detection."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.segments.detections import VideoDetections
from pipeline.segments.schema import PREDICTIONS_SCHEMA, SEGMENTS_SCHEMA

# Arrow's strings count their bytes in 31 bits, in each chunk of a column anew.
_ID_BYTES = 2**30
_NOTHING = VideoDetections(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), np.zeros(0))


@dataclass(frozen=True)
class VideoOutcome:
    """What came of a video: its detections, or why it was lost ("kind: message")."""

    video_id: str
    detections: VideoDetections = _NOTHING
    error: str | None = None


def predictions_table(outcomes: Sequence[VideoOutcome], labels: Sequence[str]) -> pa.Table:
    """A table of `PREDICTIONS_SCHEMA`, one row for each outcome in order; `labels` name the class indices."""
    segments = segments_table([(outcome.video_id, outcome.detections) for outcome in outcomes], labels)
    kind = PREDICTIONS_SCHEMA.field("segments").type
    columns = [segments[field.name].combine_chunks() for field in kind.value_type]
    offsets = np.cumsum([0, *(len(outcome.detections.scores) for outcome in outcomes)])
    return pa.Table.from_arrays(
        [
            pa.array([outcome.video_id for outcome in outcomes], type=pa.string()),
            pa.ListArray.from_arrays(
                pa.array(offsets, type=pa.int32()),
                pa.StructArray.from_arrays(columns, fields=list(kind.value_type)),
                type=kind,
            ),
            pa.array([outcome.error for outcome in outcomes], type=pa.string()),
        ],
        schema=PREDICTIONS_SCHEMA,
    )


def segments_table(videos: Iterable[tuple[str, VideoDetections]], labels: Sequence[str]) -> pa.Table:
    """A table of `SEGMENTS_SCHEMA` from (video id, detections) pairs; `labels` name the class indices."""
    return pa.concat_tables(
        [SEGMENTS_SCHEMA.empty_table(), *(_segments(video_id, found, labels) for video_id, found in videos)]
    )


def flatten(predictions: pa.Table) -> pa.Table:
    """A table of `SEGMENTS_SCHEMA` from one of `PREDICTIONS_SCHEMA`, in its order; metadata stays.

    Its ids may be of any size together: each of its chunks holds at most 1 GiB of them.
    """
    schema = SEGMENTS_SCHEMA.with_metadata(predictions.schema.metadata)
    parts = [part for batch in predictions.to_batches() for part in _flattened(batch, schema)]
    return pa.Table.from_batches(parts, schema=schema)


def ordered(segments: pa.Table) -> pa.Table:
    """A table of `SEGMENTS_SCHEMA` by video id, in each video best first: the same whatever order it comes in."""
    keys = [("video_id", "ascending"), ("score", "descending")]
    return segments.sort_by([*keys, *((name, "ascending") for name in ("t_start", "t_end", "label"))])


def _flattened(predictions: pa.RecordBatch, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    ids, lists = predictions["video_id"], predictions["segments"]
    rows = np.repeat(np.arange(len(lists)), pc.fill_null(pc.list_value_length(lists), 0).to_numpy())
    columns = lists.flatten().flatten()
    longest = pc.max(pc.binary_length(ids)).as_py() or 1
    step = max(1, _ID_BYTES // longest)
    for start in range(0, len(rows), step):
        repeated = ids.take(pa.array(rows[start : start + step]))
        yield pa.RecordBatch.from_arrays(
            [repeated, *(column.slice(start, step) for column in columns)], schema=schema
        )


def _segments(video_id: str, found: VideoDetections, labels: Sequence[str]) -> pa.Table:
    columns = {
        "video_id": [video_id] * len(found.scores),
        "t_start": found.segments[:, 0],
        "t_end": found.segments[:, 1],
        "label": [labels[index] for index in found.labels],
        "score": found.scores,
    }
    return pa.table(columns, schema=SEGMENTS_SCHEMA)
