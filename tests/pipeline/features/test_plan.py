"""Cutting videos into chunks, and sampling frames from runs of snippets."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.backbones import frame_offsets
from pipeline.features.extraction.planning import probe_videos
from pipeline.features.extraction.sampling import sample_frames
from pipeline.features.plan import cut_chunks
from pipeline.features.sources import VideoSource
from pipeline.features.timeline import Timeline
from pipeline.video.probe import prober
from pipeline.video.sandbox import DEFAULT_LIMITS, sandbox
from tests.videos import encode_video

VIDEO = VideoSource("v", "/v.mp4")
timelines = st.builds(
    Timeline, fps=st.sampled_from([8.0, 25.0, 29.97]), stride=st.integers(1, 16), window=st.integers(1, 16)
)


@given(timelines, st.floats(0.01, 300), st.integers(16, 1024))
def test_chunks_partition_the_snippets_and_keep_the_bound(
    timeline: Timeline, duration: float, chunk_frames: int
) -> None:
    rows = cut_chunks(VIDEO, duration, timeline, chunk_frames)
    expected = 0
    for index, row in enumerate(rows):
        assert (row["chunk_index"], row["num_chunks"]) == (index, len(rows))
        assert row["first_snippet"] == expected
        start, stop = timeline.frame_range(row["first_snippet"], row["num_snippets"])  # type: ignore[arg-type]
        assert stop - start <= max(chunk_frames, timeline.window)
        expected += row["num_snippets"]  # type: ignore[operator]
    assert expected == timeline.num_snippets(timeline.num_frames(duration))
    assert len({row["chunk_id"] for row in rows}) == len(rows)


def test_frames_are_sampled_from_the_middles_of_equal_parts() -> None:
    assert frame_offsets(8, 1) == (4,)
    assert frame_offsets(8, 2) == (2, 6)
    assert frame_offsets(16, 16) == tuple(range(16))
    assert frame_offsets(1, 1) == (0,)


@given(timelines, st.integers(1, 40), st.integers(0, 30), st.data())
def test_a_run_of_snippets_samples_the_same_frames_as_its_snippets_alone(
    timeline: Timeline, num_snippets: int, first: int, data: st.DataObject
) -> None:
    offsets = frame_offsets(timeline.window, data.draw(st.integers(1, timeline.window)))
    duration = ((first + num_snippets) * timeline.stride + timeline.window) / timeline.rate
    run = sample_frames(timeline, offsets, first, num_snippets, duration)
    assert (np.diff(run.indices) > 0).all()
    for position in range(num_snippets):
        expected = [(first + position) * timeline.stride + offset for offset in offsets]
        assert run.indices[run.members[position]].tolist() == expected


def test_a_video_shorter_than_a_window_repeats_its_last_frame() -> None:
    timeline = Timeline(fps=10, stride=8, window=8)
    run = sample_frames(timeline, tuple(range(8)), 0, 1, duration=0.3)
    assert run.indices.tolist() == [0, 1, 2]
    assert run.members.tolist() == [[0, 1, 2, 2, 2, 2, 2, 2]]


@pytest.mark.parametrize("chunk_frames", [8, 15, 16])
def test_chunk_ids_sort_in_the_order_of_time(chunk_frames: int) -> None:
    rows = cut_chunks(VIDEO, 100.0, Timeline(fps=10, stride=8, window=8), chunk_frames)
    ids = [row["chunk_id"] for row in rows]
    assert ids == sorted(ids)  # type: ignore[type-var]
    assert ids[0] == "v#000000"


def test_a_probe_that_was_killed_while_idle_harms_no_video(tmp_path: Path) -> None:
    videos = [VideoSource(name, str(encode_video(tmp_path / f"{name}.mp4", seconds=1))) for name in "ab"]
    for video in videos:
        process = sandbox(prober, (), DEFAULT_LIMITS)
        if process.running:
            assert process._process is not None
            process._process.kill()
        rows, failures = probe_videos([video], Timeline(8.0, 8, 8), 64)
        assert failures == []
        assert [row["video_id"] for row in rows] == [video.video_id]
