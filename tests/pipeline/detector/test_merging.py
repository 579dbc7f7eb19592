"""Merging windows: suppression between windows only, whatever the order, and nothing invented."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.detection import Detections
from pipeline.detector.merging import merge_windows, surviving
from pipeline.detector.settings import MergeConfig
from pipeline.detector.windows import Window
from pipeline.features.store import VideoFeatures
from pipeline.features.timeline import Timeline


def tiou(left: np.ndarray, right: np.ndarray) -> float:
    overlap = max(0.0, min(left[1], right[1]) - max(left[0], right[0]))
    return overlap / (left[1] - left[0] + right[1] - right[0] - overlap)


def greedy(
    segments: np.ndarray, scores: np.ndarray, groups: np.ndarray, windows: np.ndarray, threshold: float
) -> list[int]:
    """The rule, one detection after the other."""
    kept: list[int] = []
    for row in sorted(range(len(scores)), key=lambda i: (-scores[i], groups[i], *segments[i], windows[i])):
        rivals = (k for k in kept if groups[k] == groups[row] and windows[k] != windows[row])
        if all(tiou(segments[k], segments[row]) <= threshold for k in rivals):
            kept.append(row)
    return kept


@st.composite
def detections(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Segments on a grid of quarters, so that ties and equal overlaps are common."""
    count = draw(st.integers(0, 25))
    numbers = st.integers(0, 24)
    rows = draw(
        st.lists(
            st.tuples(numbers, st.integers(1, 9), st.integers(0, 4), st.integers(0, 2), st.integers(0, 3)),
            min_size=count,
            max_size=count,
        )
    )
    table = np.array(rows, dtype=float).reshape(-1, 5)
    segments = np.stack([table[:, 0], table[:, 0] + table[:, 1]], axis=1) / 4
    return segments, table[:, 2] / 4, table[:, 3].astype(int), table[:, 4].astype(int)


thresholds = st.sampled_from([0.13, 0.41, 0.77])


@given(detections(), thresholds)
def test_survivors_are_those_of_the_greedy_rule(case: tuple[np.ndarray, ...], threshold: float) -> None:
    segments, scores, groups, windows = case
    kept = surviving(segments, scores, groups, windows, threshold, ties=groups)
    assert kept.tolist() == greedy(segments, scores, groups, windows, threshold)


@given(detections(), thresholds, st.randoms())
def test_the_order_of_rows_does_not_matter(case: tuple[np.ndarray, ...], threshold: float, random) -> None:
    order = list(range(len(case[0])))
    random.shuffle(order)
    shuffled = tuple(column[order] for column in case)
    results = []
    for segments, scores, groups, windows in (case, shuffled):
        kept = surviving(segments, scores, groups, windows, threshold, ties=groups)
        results.append([(*segments[k], scores[k], groups[k], windows[k]) for k in kept])
    assert results[0] == results[1]


@given(detections(), thresholds)
def test_survivors_survive_again_and_are_distinct_inputs(
    case: tuple[np.ndarray, ...], threshold: float
) -> None:
    segments, scores, groups, windows = case
    kept = surviving(segments, scores, groups, windows, threshold, ties=groups)
    assert len(set(kept.tolist())) == len(kept)
    again = surviving(segments[kept], scores[kept], groups[kept], windows[kept], threshold, ties=groups[kept])
    assert again.tolist() == list(range(len(kept)))


@given(detections())
def test_one_window_alone_loses_nothing(case: tuple[np.ndarray, ...]) -> None:
    segments, scores, groups, _ = case
    kept = surviving(segments, scores, groups, np.zeros_like(groups), 0.13, ties=groups)
    assert sorted(kept.tolist()) == list(range(len(scores)))
    assert (np.diff(scores[kept]) <= 0).all()


def test_many_more_pairs_than_a_block_holds() -> None:
    rng = np.random.default_rng(0)
    count = 2000  # each overlaps each other: two million pairs
    segments = np.stack([rng.uniform(0, 1, count), rng.uniform(2, 3, count)], axis=1)
    scores, windows = rng.uniform(size=count), rng.integers(0, 5, count)
    groups = np.zeros(count, dtype=int)
    kept = surviving(segments, scores, groups, windows, 0.5, ties=groups)
    assert kept.tolist() == greedy(segments, scores, groups, windows, 0.5)


# Two snippets a second; a window of 20 snippets is 10 seconds.
VIDEO = VideoFeatures("v", "/v.mp4", 16.0, Timeline(8.0, 4, 4), 33, (), None, lost_chunks=())


def found(start: int, *rows: tuple[float, float, int, float]) -> tuple[Window, Detections]:
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    return Window("v", start, 20), Detections(table[:, :2], table[:, 2].long(), table[:, 3])


def test_windows_become_seconds_of_the_video() -> None:
    merged = merge_windows(
        VIDEO,
        [
            found(0, (0.1, 0.3, 0, 0.9), (0.12, 0.3, 0, 0.5)),
            found(13, (0.5, 1.0, 1, 0.7), (-0.5, 0.1, 0, 0.2), (0.97, 1.2, 0, 0.1)),
        ],
        MergeConfig(),
    )
    # The last row of the second window ends at 16.5 s, beyond the video, and begins at 16.2 s.
    np.testing.assert_allclose(merged.segments, [[1, 3], [11.5, 16], [1.2, 3], [6.5, 7.5]], atol=1e-6)
    np.testing.assert_allclose(merged.scores, [0.9, 0.7, 0.5, 0.2], atol=1e-6)
    assert merged.labels.tolist() == [0, 1, 0, 0]


def test_the_same_action_seen_by_two_windows_comes_once() -> None:
    windows = [found(0, (0.7, 0.9, 0, 0.6)), found(13, (0.05, 0.25, 0, 0.8), (0.05, 0.25, 1, 0.4))]
    merged = merge_windows(VIDEO, windows, MergeConfig())
    assert merged.scores.round(4).tolist() == [0.8, 0.4]
    assert merge_windows(VIDEO, windows, MergeConfig(nms_tiou=1)).scores.round(4).tolist() == [0.8, 0.6, 0.4]
    merged = merge_windows(VIDEO, windows, MergeConfig(across_classes=True))
    assert merged.scores.round(4).tolist() == [0.8, 0.4]  # of one window, so both stay
    merged = merge_windows(VIDEO, windows, MergeConfig(video_top_k=1))
    assert merged.scores.round(4).tolist() == [0.8]


def test_across_classes_detections_suppress_each_other() -> None:
    windows = [found(0, (0.7, 0.9, 0, 0.6)), found(13, (0.05, 0.25, 1, 0.8))]
    assert len(merge_windows(VIDEO, windows, MergeConfig()).scores) == 2
    assert merge_windows(VIDEO, windows, MergeConfig(across_classes=True)).labels.tolist() == [1]


def test_a_video_without_detections_is_empty() -> None:
    merged = merge_windows(VIDEO, [found(0), found(13)], MergeConfig())
    assert merged.segments.shape == (0, 2)
