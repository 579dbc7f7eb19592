"""Windows cover a video without gaps, and what they show of its actions can be turned back into seconds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compose import compose_config
from pipeline.detector.rescaling import Rescaling
from pipeline.detector.settings import WindowConfig
from pipeline.detector.windows import Window, cut_windows, video_windows, visible
from pipeline.features.timeline import Timeline
from pipeline.training.settings import TrainConfig


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


@given(cuts())
def test_a_padded_last_window_starts_at_the_next_step(cut: tuple[int, int, int]) -> None:
    num_snippets, length, step = cut
    windows = cut_windows("v", num_snippets, length, step, last="pad")
    shown = np.zeros(num_snippets, dtype=bool)
    for window in windows:
        shown[window.start : window.stop] = True
    assert shown.all()
    assert [window.start for window in windows] == [step * index for index in range(len(windows))]
    assert all(window.length == min(length, num_snippets) for window in windows[:-1])
    assert windows[-1].stop == num_snippets
    assert len(windows) == len(cut_windows("v", num_snippets, length, step))


def test_a_padded_last_window_is_short() -> None:
    assert cut_windows("v", 300, 128, 96, last="pad")[-1] == Window("v", 192, 108)
    assert cut_windows("v", 320, 128, 96, last="pad")[-1] == Window("v", 192, 128)
    assert cut_windows("v", 100, 128, 96, last="pad") == [Window("v", 0, 100)]


@pytest.mark.parametrize(("num_snippets", "length", "step"), [(10, 4, 5), (10, 4, 0), (0, 4, 2)])
def test_cuts_that_would_leave_gaps_are_refused(num_snippets: int, length: int, step: int) -> None:
    with pytest.raises(ValueError, match="step"):
        cut_windows("v", num_snippets, length, step)


def test_training_and_prediction_have_their_own_steps_and_last_windows() -> None:
    config = WindowConfig(length=128, train_step=32, test_step=96, test_last="pad")
    train = video_windows("v", 300, config, training=True)
    assert [(window.start, window.length) for window in train][-2:] == [(160, 128), (172, 128)]
    test = video_windows("v", 300, config, training=False)
    assert [(window.start, window.length) for window in test] == [(0, 128), (96, 128), (192, 108)]


@pytest.mark.parametrize("training", [True, False])
def test_a_whole_video_is_one_window(training: bool) -> None:
    whole = WindowConfig(mode="whole", length=8)
    assert video_windows("v", 300, whole, training=training) == [Window("v", 0, 300)]
    rescaled = WindowConfig(mode="rescale", length=64, interpolation="linear", ends_early=True)
    assert video_windows("v", 300, rescaled, training=training) == [
        Window("v", 0, 300, Rescaling(64, "linear"), ends_early=True)
    ]


def test_steps_may_be_parts_of_the_length() -> None:
    config = WindowConfig(length=256, train_step=0.75, test_step=0.25)
    assert (config.train_step, config.test_step) == (192, 64)
    unsaid = WindowConfig(length=64)
    assert (unsaid.train_step, unsaid.test_step) == (16, 48)
    assert (WindowConfig().train_step, WindowConfig(length=1).test_step) == (32, 1)
    assert WindowConfig(length=64, train_step=None, test_step=5).model_dump()["train_step"] == 16
    assert WindowConfig(train_step=0.25).train_step == 32  # of the default length
    assert WindowConfig(length=2, train_step=0.01, test_step=1).train_step == 1
    assert WindowConfig(length=256, train_step=1.0, test_step=1).model_dump(
        include={"train_step", "test_step"}
    ) == {
        "train_step": 256,
        "test_step": 1,
    }
    assert WindowConfig(length=256.0, train_step=1.0).train_step == 256
    for resolved in (config, WindowConfig(length=1, train_step=1.0, test_step=1)):
        assert WindowConfig.model_validate_json(resolved.model_dump_json()) == resolved
    for step in (0.0, -0.5, 1.5):
        with pytest.raises(ValueError, match="train_step"):
            WindowConfig(length=256, train_step=step)
    with pytest.raises(ValueError, match="length"):
        WindowConfig(length="x", train_step=0.5)


def test_the_command_line_tells_a_part_from_a_snippet() -> None:
    words = ["run=r", "store=s", "dataset.annotations=a", "model=deformable_detr", "windows.length=64"]
    given = [*words, "windows.train_step=1.0", "windows.test_step=1"]
    windows = compose_config("train", TrainConfig, given).windows
    assert (windows.train_step, windows.test_step) == (64, 1)


windows = st.builds(
    Window,
    st.just("v"),
    st.integers(0, 500),
    st.integers(1, 256),
    st.none() | st.just(Rescaling(10, "nearest")),
    st.booleans(),
)


@given(windows, st.floats(-1, 2))
def test_normalising_and_its_inverse(window: Window, place: float) -> None:
    assert window.normalise(window.coordinates(np.array(place))) == pytest.approx(place, abs=1e-9)
    assert window.coordinates(np.array(0.0)) == window.start
    early = window.ends_early and window.length > 1
    assert window.coordinates(np.array(1.0)) == window.stop - early


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
    rows, inside = visible(np.array([window.start, window.stop]), segments, min_visible)
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
    rows, inside = visible(timeline.to_seconds(window.coordinates(np.array([0.0, 1.0]))), seconds, 1.0)
    assert rows.tolist() == [0]
    np.testing.assert_allclose(timeline.to_seconds(window.coordinates(inside)), seconds, rtol=1e-9, atol=1e-9)


@given(
    cut=cuts(),
    last=st.sampled_from(["shift", "pad"]),
    start=st.floats(0, 1),
    width=st.floats(0.001, 0.3),
    ends_early=st.booleans(),
)
def test_windows_agree_on_an_action_that_they_show_whole(
    cut: tuple[int, int, int], last: str, start: float, width: float, ends_early: bool
) -> None:
    num_snippets, length, step = cut
    timeline = Timeline(25.0, 4, 16)
    config = WindowConfig(
        length=length, train_step=step, test_step=step, train_last=last, ends_early=ends_early
    )
    action = timeline.to_seconds(np.array([[start, start + width]]) * num_snippets)
    for window in video_windows("v", num_snippets, config, training=True):
        extent = timeline.to_seconds(window.coordinates(np.array([0.0, 1.0])))
        rows, inside = visible(extent, action, 1.0)
        if len(rows):
            seconds = timeline.to_seconds(window.coordinates(inside))
            np.testing.assert_allclose(seconds, action, atol=1e-6)


def test_an_action_longer_than_windows_counts_where_it_fills_them() -> None:
    extent, segments = np.array([100.0, 200.0]), np.array([[0.0, 500.0], [190.0, 400.0], [120.0, 400.0]])
    assert visible(extent, segments, 0.75)[0].tolist() == []
    rows, inside = visible(extent, segments, 0.75, min_cover=0.75)
    assert rows.tolist() == [0, 2]
    np.testing.assert_allclose(inside, [[0, 1], [0.2, 1]])


def test_an_action_cut_at_exactly_the_least_share_counts() -> None:
    rows, _ = visible(np.array([0.0, 12.0]), np.array([[9.0, 13.0], [9.0, 13.0 + 1e-6]]), 0.75)
    assert rows.tolist() == [0]


def test_a_whole_video_that_is_too_long_is_predicted_in_parts_and_learnt_as_one() -> None:
    config = WindowConfig(mode="whole", longest=40)
    for count, expected in [
        (1, [(0, 1)]),
        (40, [(0, 40)]),
        (41, [(0, 40), (1, 40)]),
        (90, [(0, 40), (30, 40), (50, 40)]),
    ]:
        windows = video_windows("v", count, config, training=False)
        assert [(window.start, window.length) for window in windows] == expected
        assert [window.length for window in video_windows("v", count, config, training=True)] == [count]
    assert len(video_windows("v", 1, WindowConfig(mode="whole", longest=1), training=False)) == 1
