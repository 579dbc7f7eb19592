"""Windows cover a video without gaps, and what they show of its actions can be turned back into seconds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.timeline import Timeline
from pipeline.training.windows import Window, cut_windows, visible


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, int, int]:
    length = draw(st.integers(1, 60))
    return draw(st.integers(1, 400)), length, draw(st.integers(1, length))


@given(cuts())
def test_windows_are_full_and_cover_every_snippet_in_order(cut: tuple[int, int, int]) -> None:
    num_snippets, length, step = cut
    windows = cut_windows("v", num_snippets, length, step)
    shown = np.zeros(num_snippets, dtype=bool)
    for window in windows:
        assert window.start >= 0
        assert window.length == min(length, num_snippets)
        shown[window.start : window.stop] = True
    assert shown.all()
    assert windows[-1].stop == num_snippets
    starts = [window.start for window in windows]
    assert starts == sorted(set(starts))
    assert all(start % step == 0 for start in starts[:-1])


def test_the_last_window_is_shifted_left_only_where_a_tail_remains() -> None:
    assert [w.start for w in cut_windows("v", 300, 128, 96)] == [0, 96, 172]
    assert [w.start for w in cut_windows("v", 320, 128, 96)] == [0, 96, 192]
    assert [w.start for w in cut_windows("v", 128, 128, 96)] == [0]
    assert cut_windows("v", 100, 128, 96) == [Window("v", 0, 100)]


@pytest.mark.parametrize(("num_snippets", "length", "step"), [(10, 4, 5), (10, 4, 0), (0, 4, 2)])
def test_cuts_that_would_leave_gaps_are_refused(num_snippets: int, length: int, step: int) -> None:
    with pytest.raises(ValueError, match="step"):
        cut_windows("v", num_snippets, length, step)


times = st.floats(-5, 50, allow_nan=False)


@given(
    start=st.integers(0, 50),
    length=st.integers(1, 50),
    instances=st.lists(st.tuples(times, times), max_size=8),
    min_visible=st.floats(0.01, 1),
)
def test_visible_agrees_with_each_instance_looked_at_alone(
    start: int, length: int, instances: list[tuple[float, float]], min_visible: float
) -> None:
    window = Window("v", start, length)
    segments = np.array(instances, dtype=float).reshape(-1, 2)
    rows, inside = visible(window, segments, min_visible)
    assert ((inside >= 0) & (inside <= 1)).all()
    assert (inside[:, 0] < inside[:, 1]).all()
    for row, (s, e) in enumerate(instances):
        shown = min(e, start + length) - max(s, start)
        part = shown / (e - s) if e > s else 0.0
        if abs(part - min_visible) > 1e-6:
            assert (row in rows) == (shown > 0 and part >= min_visible)
    if len(rows):
        back = window.coordinates(inside)
        np.testing.assert_allclose(back, segments[rows].clip(start, start + length), atol=1e-9)


@given(
    fps=st.floats(1, 60),
    stride=st.integers(1, 16),
    window_frames=st.integers(1, 32),
    start=st.integers(0, 500),
    length=st.integers(1, 256),
    middle=st.floats(0.2, 0.8),
    width=st.floats(0.01, 0.2),
)
def test_targets_turn_back_into_seconds(
    fps: float, stride: int, window_frames: int, start: int, length: int, middle: float, width: float
) -> None:
    timeline = Timeline(fps, stride, window_frames)
    window = Window("v", start, length)
    seconds = timeline.to_seconds(window.coordinates(np.array([[middle - width, middle + width]])))
    rows, inside = visible(window, timeline.to_coordinate(seconds), 1.0)
    assert rows.tolist() == [0]
    np.testing.assert_allclose(timeline.to_seconds(window.coordinates(inside)), seconds, rtol=1e-9, atol=1e-9)
