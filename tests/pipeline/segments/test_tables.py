"""From detections to rows and back."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.segments import tables
from pipeline.segments.detections import VideoDetections
from pipeline.segments.schema import PREDICTIONS_SCHEMA, SEGMENTS_SCHEMA
from pipeline.segments.tables import VideoOutcome, flatten, predictions_table, segments_table

LABELS = ("jump", "wave")
TWO = VideoDetections(np.array([[1.0, 2.5], [0.25, 9.0]]), np.array([1, 0]), np.array([0.75, 0.5]))
ONE = VideoDetections(np.array([[3.0, 4.0]]), np.array([0]), np.array([0.25]))


def test_a_video_is_one_row_and_a_detection_is_one_row() -> None:
    outcomes = [
        VideoOutcome("a", TWO),
        VideoOutcome("b", error="crash: gone"),
        VideoOutcome("c"),
        VideoOutcome("d", ONE),
    ]
    predictions = predictions_table(outcomes, LABELS)
    assert predictions.schema == PREDICTIONS_SCHEMA
    assert predictions.to_pylist() == [
        {
            "video_id": "a",
            "segments": [
                {"t_start": 1.0, "t_end": 2.5, "label": "wave", "score": 0.75},
                {"t_start": 0.25, "t_end": 9.0, "label": "jump", "score": 0.5},
            ],
            "error": None,
        },
        {"video_id": "b", "segments": [], "error": "crash: gone"},
        {"video_id": "c", "segments": [], "error": None},
        {
            "video_id": "d",
            "segments": [{"t_start": 3.0, "t_end": 4.0, "label": "jump", "score": 0.25}],
            "error": None,
        },
    ]
    segments = flatten(predictions.replace_schema_metadata({"made by": "this test"}))
    assert segments.schema.metadata == {b"made by": b"this test"}
    assert segments.cast(SEGMENTS_SCHEMA) == segments_table([("a", TWO), ("d", ONE)], LABELS)
    assert flatten(predictions.slice(1, 2)).num_rows == 0
    assert flatten(predictions.slice(3, 1))["video_id"].to_pylist() == ["d"]


def test_no_videos_make_empty_tables_of_the_same_schema() -> None:
    assert predictions_table([], LABELS).schema == PREDICTIONS_SCHEMA
    assert segments_table([], LABELS).schema == SEGMENTS_SCHEMA
    assert flatten(predictions_table([], LABELS)).num_rows == 0


def test_ids_of_any_size_are_flattened_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    # By hand, with one id of 1100 bytes and 2.1 million detections: "Take operation overflowed binary array capacity".
    found = VideoDetections(np.arange(14.0).reshape(7, 2), np.zeros(7, dtype=np.int64), np.arange(7.0))
    outcomes = [
        VideoOutcome("v" * 100, found),
        VideoOutcome("lost", error="crash: x"),
        VideoOutcome("w", found),
    ]
    predictions = pa.concat_tables(
        [predictions_table(outcomes, LABELS), predictions_table(outcomes[2:], LABELS)]
    )
    whole = flatten(predictions)
    monkeypatch.setattr(tables, "_ID_BYTES", 300)
    parts = flatten(predictions)
    assert parts.equals(whole)
    assert whole["video_id"].to_pylist() == ["v" * 100] * 7 + ["w"] * 14
    sizes = [chunk.nbytes for chunk in parts["video_id"].chunks]
    assert len(sizes) > 4
    assert max(sizes) < 400
