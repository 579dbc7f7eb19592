"""Crops of training videos: parts that show an action, the same for the same seed, epoch and video."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.detector.settings import WindowConfig
from pipeline.detector.windows import Window
from pipeline.training.crops import crop, seen_in_epoch
from pipeline.training.targets import LabelledWindow, LabelledWindows

CONFIG = WindowConfig(mode="whole", crop=64, min_visible=0.5)


def video(num_snippets: int, *rows: tuple[float, float, int]) -> LabelledWindow:
    """A video with actions in snippets."""
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return LabelledWindow(
        Window("v", 0, num_snippets), table[:, :2] / num_snippets, table[:, 2].astype(np.int64)
    )


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(
    st.integers(1, 300),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 3)), max_size=8),
    st.integers(0, 1000),
    st.sampled_from([0.0, 2.0]),
)
def test_a_crop_shows_the_actions_that_lie_in_it(
    count: int, parts: list[tuple[float, float, int]], seed: int, margin: float
) -> None:
    rows = [(a * count, (a + (1 - a) * b) * count, label) for a, b, label in parts if (1 - a) * b > 1e-6]
    whole = video(count, *rows)
    config = CONFIG.model_copy(update={"crop_margin": margin})
    found = crop(whole, config, generator(seed))
    window = found.window
    assert window.start >= 0
    assert window.stop <= count
    if count > 64:
        assert window.length == 64
    else:
        assert round(0.9 * count) <= window.length <= count
    if window.length == count:
        assert found is whole
        return
    low, high = window.start - margin, window.stop + margin
    expected = []
    for start, end, label in rows:
        shown = min(end, high) - max(start, low)
        if shown >= 0.5 * (end - start):
            expected.append((max(start, low), min(end, high), label))
    told = window.coordinates(found.segments)
    assert found.labels.tolist() == [label for *_, label in expected]
    np.testing.assert_allclose(
        told, np.array(expected)[:, :2].reshape(-1, 2) if expected else told, atol=1e-6
    )


def test_a_crop_is_drawn_until_it_shows_an_action() -> None:
    whole = video(2000, (990, 1000, 1))
    for seed in range(20):
        found = crop(whole, CONFIG, generator(seed))
        assert found.labels.tolist() == [1]
    assert len({crop(whole, CONFIG, generator(seed)).window.start for seed in range(20)}) > 5


def test_a_video_without_actions_is_cropped_once() -> None:
    assert crop(video(2000), CONFIG, generator(0)).window.length == 64


def test_all_crops_are_drawn_in_time() -> None:
    whole = video(80, (0, 80, 0))
    found = [crop(whole, CONFIG, generator(seed)) for seed in range(200)]
    assert {one.window.start for one in found} == set(range(17))
    lengths = {crop(video(40, (0, 40, 0)), CONFIG, generator(seed)).window.length for seed in range(100)}
    assert lengths == {36, 37, 38, 39, 40}


def windows(config: WindowConfig) -> LabelledWindows:
    return LabelledWindows(
        config, pa.array(["a", "b"]), np.array([0, 1]), np.zeros(2, np.int32), np.array([500, 600]),
        np.array([0, 1, 2]), np.array([[0.4, 0.5], [0.2, 0.3]]), np.array([0, 1]),
    )  # fmt: skip


def test_what_an_epoch_sees_is_its_own_and_repeatable() -> None:
    made = windows(CONFIG)
    seen = {
        (row, epoch, seed): seen_in_epoch(made, row, seed, epoch).window.start
        for row in range(2) for epoch in range(1, 6) for seed in range(3)
    }  # fmt: skip
    assert seen[1, 3, 2] == seen_in_epoch(made, 1, 2, 3).window.start
    assert len({seen[0, epoch, 0] for epoch in range(1, 6)}) > 2
    assert len({seen[0, 1, seed] for seed in range(3)}) > 1
    plain = windows(WindowConfig(mode="whole"))
    assert seen_in_epoch(plain, 1, 0, 1).window == plain[1].window


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "sliding"}, r"windows.crop \(64\) needs windows.mode=whole, not sliding"),
        ({"mode": "rescale", "crop": None, "longest": 9}, r"windows.longest \(9\) needs windows.mode=whole"),
        ({"crop_part": (1.0, 0.9)}, r"windows.crop_part \(\[1,0.9\]\) must be two rising parts of 1"),
        ({"crop_part": (0.0, 1.0)}, "windows.crop_part"),
    ],
)
def test_impossible_crops_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        WindowConfig(**({"mode": "whole", "crop": 64} | changes))
