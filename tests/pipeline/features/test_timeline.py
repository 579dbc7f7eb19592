"""The time rule: seconds and snippet coordinates are inverse, and snippets lie where the rule says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.timeline import Timeline

timelines = st.builds(
    Timeline,
    fps=st.floats(0.5, 240),
    stride=st.integers(1, 64),
    window=st.integers(1, 64),
)


@given(timelines, st.floats(-1e5, 1e5))
def test_seconds_and_coordinates_are_inverse(timeline: Timeline, seconds: float) -> None:
    there = timeline.to_coordinate(seconds)
    assert timeline.to_seconds(there) == pytest.approx(seconds, rel=1e-9, abs=1e-6)


@given(timelines, st.integers(0, 10_000))
def test_the_centre_of_a_snippet_is_the_middle_of_its_frames(timeline: Timeline, snippet: int) -> None:
    start, stop = timeline.frame_range(snippet, 1)
    assert stop - start == timeline.window
    middle = (start + stop) / 2 / timeline.rate
    assert timeline.to_seconds(snippet + 0.5) == pytest.approx(middle, rel=1e-12)


@given(timelines, st.integers(1, 5000))
def test_whole_windows_fit_and_one_more_would_not(timeline: Timeline, num_frames: int) -> None:
    snippets = timeline.num_snippets(num_frames)
    assert snippets >= 1
    _, stop = timeline.frame_range(0, snippets)
    _, next_stop = timeline.frame_range(0, snippets + 1)
    assert next_stop > num_frames
    assert stop <= num_frames or snippets == 1


@given(st.integers(1, 100_000), st.sampled_from([23.976, 24.0, 25.0, 29.97, 30.0, 59.94]))
def test_a_duration_of_n_frames_has_n_frames(frames: int, fps: float) -> None:
    timeline = Timeline(fps=fps, stride=1, window=1)
    assert timeline.num_frames(frames / fps) == frames
    assert timeline.num_frames(round(frames / fps, 6)) == frames  # containers round durations to microseconds


def test_coordinates_of_i3d_windows_by_hand() -> None:
    """Windows of 16 frames every 4: snippet 0 is centred at frame 8, snippet 1 at frame 12."""
    timeline = Timeline(fps=30, stride=4, window=16)
    np.testing.assert_allclose(timeline.to_seconds(np.array([0.5, 1.5])) * 30, [8, 12])
    # Non-overlapping windows have no shift: an action over snippets 0 and 1 lasts from 0 to 16 frames.
    clip = Timeline(fps=30, stride=8, window=8)
    np.testing.assert_allclose(clip.to_coordinate(np.array([0, 16 / 30])), [0, 2])


def test_a_timeline_without_fps_follows_the_video() -> None:
    timeline = Timeline(fps=None, stride=8, window=8)
    with pytest.raises(ValueError, match="resolve"):
        timeline.num_frames(1.0)
    assert timeline.resolve(25).num_frames(2.0) == 50
    assert Timeline(fps=10, stride=1, window=1).resolve(25).rate == 10


@pytest.mark.parametrize("values", [(0.0, 8, 8), (-1, 8, 8), (float("nan"), 8, 8), (30, 0, 8), (30, 8, 0)])
def test_impossible_values_are_refused(values: tuple[float, int, int]) -> None:
    with pytest.raises(ValueError, match="timeline"):
        Timeline(*values)
