"""Rows of annotation files become the same tables however many are in hand at a time."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.annotations import published
from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA
from pipeline.annotations.published import Published

seconds = st.floats(0, 100, width=32)
actions = st.lists(st.tuples(seconds, seconds, st.sampled_from("abc")), max_size=5)
videos = st.lists(st.tuples(st.none() | seconds, actions), max_size=12)


@given(videos, st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_by_rows_and_by_videos_alike(monkeypatch: pytest.MonkeyPatch, drawn, at_once) -> None:
    monkeypatch.setattr(published, "_ROWS_AT_ONCE", at_once)
    monkeypatch.setattr(published, "_VIDEOS_AT_ONCE", at_once)
    rows = [(f"v{number}", "train", length, None) for number, (length, _) in enumerate(drawn)]
    instances = [(f"v{number}", *action) for number, (_, some) in enumerate(drawn) for action in some]
    by_video = [[each for each in instances if each[0] == row[0]] for row in rows]
    one = Published.of_rows(rows, instances)
    other = Published.of_videos(zip(rows, by_video, strict=True))
    assert one.videos.equals(other.videos)
    assert one.instances.equals(other.instances)
    assert one.videos.schema == VIDEOS_SCHEMA
    assert one.instances.schema == INSTANCES_SCHEMA
    assert [tuple(row.values()) for row in one.videos.to_pylist()] == rows
    assert [tuple(row.values()) for row in one.instances.to_pylist()] == instances
