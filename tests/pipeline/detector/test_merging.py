"""Merging windows: who suppress each other and how, whatever the order, and nothing invented."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.detection import Detections
from pipeline.detector.merging import merge_windows, softened, surviving
from pipeline.detector.settings import MergeConfig
from pipeline.detector.windows import Window
from pipeline.features.timeline import Timeline
from pipeline.features.video_features import VideoFeatures


def tiou(left: np.ndarray, right: np.ndarray) -> float:
    overlap = max(0.0, min(left[1], right[1]) - max(left[0], right[0]))
    return overlap / (left[1] - left[0] + right[1] - right[0] - overlap)


Case = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def are_rivals(case: Case, one: int, other: int) -> bool:
    _, _, groups, windows, reach = case
    if groups[one] != groups[other]:
        return False
    return windows[one] != windows[other] or bool((reach[one] & reach[other]).any())


def greedy(case: Case, threshold: float) -> list[int]:
    """The rule, one detection after the other."""
    segments, scores, groups, windows, _ = case
    kept: list[int] = []
    for row in sorted(range(len(scores)), key=lambda i: (-scores[i], groups[i], *segments[i], windows[i])):
        rivals = (k for k in kept if are_rivals(case, k, row))
        if all(tiou(segments[k], segments[row]) <= threshold for k in rivals):
            kept.append(row)
    return kept


@st.composite
def detections(draw: st.DrawFn) -> Case:
    """Segments on a grid of quarters, so that ties and equal overlaps are common."""
    count = draw(st.integers(0, 25))
    numbers = st.integers(0, 24)
    rows = draw(
        st.lists(
            st.tuples(
                numbers,
                st.integers(1, 9),
                st.integers(0, 4),
                st.integers(0, 2),
                st.integers(0, 3),
                st.booleans(),
                st.booleans(),
            ),
            min_size=count,
            max_size=count,
        )
    )
    table = np.array(rows, dtype=float).reshape(-1, 7)
    segments = np.stack([table[:, 0], table[:, 0] + table[:, 1]], axis=1) / 4
    groups, windows = table[:, 3].astype(int), table[:, 4].astype(int)
    return segments, table[:, 2] / 4, groups, windows, table[:, 5:].astype(bool)


thresholds = st.sampled_from([0.13, 0.41, 0.77])


@given(detections(), thresholds)
def test_survivors_are_those_of_the_greedy_rule(case: Case, threshold: float) -> None:
    kept = surviving(*case, threshold, ties=case[2])
    assert kept.tolist() == greedy(case, threshold)


@given(detections(), st.sampled_from([0.1, 0.4, 2.0]))
def test_soft_scores_are_those_of_the_rule_done_one_by_one(case: Case, sigma: float) -> None:
    segments, scores, groups, windows, _ = case
    left, expected = set(range(len(scores))), scores.astype(float).copy()
    first = {
        row: place
        for place, row in enumerate(
            sorted(left, key=lambda i: (-scores[i], groups[i], *segments[i], windows[i]))
        )
    }
    while left:
        best = min(left, key=lambda row: (-expected[row], first[row]))
        left.remove(best)
        for row in left:
            if are_rivals(case, best, row):
                expected[row] *= np.exp(-(tiou(segments[best], segments[row]) ** 2) / sigma)
    np.testing.assert_allclose(softened(*case, sigma, ties=groups), expected, rtol=1e-12)


@given(detections(), thresholds, st.randoms())
def test_the_order_of_rows_does_not_matter(case: Case, threshold: float, random) -> None:
    order = list(range(len(case[0])))
    random.shuffle(order)
    shuffled = tuple(column[order] for column in case)
    results = []
    for segments, scores, groups, windows, reach in (case, shuffled):
        kept = surviving(segments, scores, groups, windows, reach, threshold, ties=groups)
        results.append([(*segments[k], scores[k], groups[k], windows[k]) for k in kept])
    assert results[0] == results[1]


@given(detections(), thresholds)
def test_survivors_survive_again_and_are_distinct_inputs(case: Case, threshold: float) -> None:
    kept = surviving(*case, threshold, ties=case[2])
    assert len(set(kept.tolist())) == len(kept)
    again = surviving(*(column[kept] for column in case), threshold, ties=case[2][kept])
    assert again.tolist() == list(range(len(kept)))


@given(detections())
def test_one_window_alone_loses_nothing(case: Case) -> None:
    segments, scores, groups, _, reach = case
    alone = np.zeros_like(groups)
    kept = surviving(segments, scores, groups, alone, np.zeros_like(reach), 0.13, ties=groups)
    assert sorted(kept.tolist()) == list(range(len(scores)))
    assert (np.diff(scores[kept]) <= 0).all()


def test_many_more_pairs_than_a_block_holds() -> None:
    rng = np.random.default_rng(0)
    count = 2000  # each overlaps each other: two million pairs
    segments = np.stack([rng.uniform(0, 1, count), rng.uniform(2, 3, count)], axis=1)
    scores, windows = rng.uniform(size=count), rng.integers(0, 5, count)
    groups = np.zeros(count, dtype=int)
    case = (segments, scores, groups, windows, np.zeros((count, 2), dtype=bool))
    kept = surviving(*case, 0.5, ties=groups)
    assert kept.tolist() == greedy(case, 0.5)


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


def test_where_windows_overlap_those_of_one_window_may_be_rivals_too() -> None:
    # Windows of 10 s from 0 s and from 6.5 s; the first reaches into the overlap from 6.5 s on.
    twins_inside = [(0.1, 0.3, 0, 0.9), (0.1, 0.32, 0, 0.8)]
    twins_in_the_overlap = [(0.6, 0.9, 0, 0.7), (0.6, 0.92, 0, 0.6)]
    windows = [found(0, *twins_inside, *twins_in_the_overlap), found(13, (0.8, 0.9, 1, 0.5))]

    def scores(**merge: object) -> list[float]:
        return merge_windows(VIDEO, windows, MergeConfig.model_validate(merge)).scores.round(4).tolist()

    assert scores() == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert scores(rivals="overlaps") == [0.9, 0.8, 0.7, 0.5]
    assert scores(rivals="all") == [0.9, 0.7, 0.5]
    assert scores(rivals="all", nms_tiou=1) == [0.9, 0.8, 0.7, 0.6, 0.5]
    soft = scores(rivals="all", soft_nms=0.5)
    assert soft[:3] == [0.9, 0.7, 0.5]
    assert len(soft) == 5
    assert 0 < soft[-1] < soft[-2] < 0.2
