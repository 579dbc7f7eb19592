"""Segmentation mAP against hand-computed tables and against plain loops."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.annotations.canonical import VIDEOS_SCHEMA
from pipeline.errors import InputError
from pipeline.evaluation.dense import covered, highest_scores, make_grid, smooth
from pipeline.evaluation.segmentation_map import TSU_DENSE, SegmentationProtocol, segmentation_map
from tests.pipeline.evaluation import loop_written
from tests.pipeline.evaluation.cases import LABELS, predicted_rows, segments_table, true_rows, truth

ONE_A_SECOND = SegmentationProtocol(fps=1.0, stride=1, index_shift=False)


def videos(*rows):
    return pa.Table.from_pylist(
        [{"video_id": v, "subset": "test", "duration": d, "fps": fps} for v, d, fps in rows], VIDEOS_SCHEMA
    )


def test_a_grid_has_a_position_for_every_stride_whole_frames():
    # 33.83 s at 10 fps are 338 frames, 84 strides of 4; at the videos' own rates 23.21 s * 24 = 557.04 frames.
    grid = make_grid(videos(("v", 33.83, 30.0), ("w", 23.21, 24.0)), 10.0, 4)
    assert grid.lengths.tolist() == [84, 58]
    assert grid.rates.tolist() == [84 / 33.83, 58 / 23.21]
    assert grid.firsts.tolist() == [0, 84]
    assert make_grid(videos(("v", 1003 / 30, 30.0), ("w", 23.21, 24.0)), None, 1).lengths.tolist() == [
        1003,
        557,
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [(("v", None, 30.0), "'v' has no duration"), (("v", 9.0, None), "'v' has no fps.*segmentation.fps=")],
)
def test_a_grid_needs_duration_and_rate(row, told):
    with pytest.raises(InputError, match=told):
        make_grid(videos(("u", 9.0, 30.0), row), None, 4)


def test_bounds_of_truth_and_prediction():
    grid = make_grid(videos(("v", 10.0, None)), 1.0, 1)
    at, seconds = np.zeros(1, dtype=np.int64), np.array([[2.0, 5.0]])
    assert np.flatnonzero(covered(grid, at, seconds, strict=False)).tolist() == [2, 3, 4, 5]
    assert np.flatnonzero(covered(grid, at, seconds, strict=True)).tolist() == [3, 4]
    assert np.flatnonzero(highest_scores(grid, at, seconds, np.ones(1))).tolist() == [2, 3, 4]
    for beyond in ([[-3.0, 1.5]], [[8.5, 4000.0]], [[7.0, 3.0]]):
        inside = covered(grid, at, np.array(beyond), strict=False)
        expected = [f for f in range(10) if int(beyond[0][0]) <= f <= int(beyond[0][1])]
        assert np.flatnonzero(inside).tolist() == expected


def test_of_overlapping_predictions_a_position_has_the_best():
    grid = make_grid(videos(("v", 6.0, None)), 1.0, 1)
    seconds = np.array([[0.0, 3.0], [2.0, 5.0], [1.0, 4.0]])
    track = highest_scores(grid, np.zeros(3, dtype=np.int64), seconds, np.array([0.5, 0.25, 0.75]))
    assert track.tolist() == [0.5, 0.75, 0.75, 0.75, 0.25, 0.0]


def test_a_score_spreads_as_a_gaussian_within_its_video():
    grid = make_grid(videos(("v", 40.0, None), ("w", 40.0, None)), 1.0, 1)
    track = np.zeros(80)
    track[39] = 0.5
    for shift in (0, 1):
        spread = smooth(grid, track, sigma=3.0, amplitude=5.0, shift=shift)
        expected = [
            0.5 * 5 * math.exp(-((f + shift - 39) ** 2) / 18) / (3 * math.sqrt(2 * math.pi))
            for f in range(40)
        ]
        np.testing.assert_allclose(spread[:40], np.array(expected, dtype=np.float32), rtol=1e-6, atol=0)
        assert not spread[40:].any()


def test_a_table_computed_by_hand():
    # Positions 0 to 3 are true. The prediction covers 2 and 3, so the spread scores fall with the distance
    # from 2.5: the order is 2, 3 (a tie, the earlier first), 1, 4, 0, 5, ...: true at ranks 1, 2, 3 and 5.
    truths = truth([("v", 0.0, 3.5, "run")], ["run", "jump"], {"v": 8.0})
    result = segmentation_map(segments_table([("v", 2.0, 4.0, "run", 0.9)]), truths, ONE_A_SECOND)
    assert result.per_class == {"run": pytest.approx((1 + 1 + 1 + 4 / 5) / 4, abs=1e-12), "jump": 0.0}
    assert result.mean == pytest.approx(3.8 / 8, abs=1e-12)
    assert result.num_positions == 8


def test_the_index_shift_lets_scores_come_a_position_early():
    # With it the order is 1, 2, 0, 3, 4, ...
    truths = truth([("v", 0.0, 3.5, "run")], ["run"], {"v": 8.0})
    predictions = segments_table([("v", 2.0, 4.0, "run", 0.9)])
    shifted = SegmentationProtocol(fps=1.0, stride=1, index_shift=True)
    assert segmentation_map(predictions, truths, shifted).mean == 1.0


def test_scores_up_to_a_hundredth_are_left_out_and_zeros_rank_in_time():
    truths = truth([("w", 1.0, 1.5, "run")], ["run"], {"v": 2.0, "w": 2.0})
    predictions = segments_table([("w", 1.0, 2.0, "run", 0.01)])
    assert segmentation_map(predictions, truths, ONE_A_SECOND).mean == pytest.approx(1 / 4)


def test_the_tool_of_tsu_averages_over_classes_with_an_ap():
    truths = truth([("v", 1.0, 3.0, "run"), ("v", 1.0, 1.5, "jump")], LABELS, {"v": 64.0}, fps=16.0)
    result = segmentation_map(segments_table([("v", 2.0, 3.0, "run", 0.9)]), truths, TSU_DENSE)
    # Strictly between 1 and 3 lies position 2 alone; with the shift the order is 1, 0, 2, ... For jump there
    # is none.
    assert result.per_class == {"run": 1 / 3, "jump": 0.0, "swim": 0.0}
    assert result.mean == 1 / 3
    assert segmentation_map(segments_table([]), truth([], LABELS, fps=16.0), TSU_DENSE).mean == 0.0


def test_videos_too_short_for_a_position_and_strangers_are_passed_over():
    truths = truth([("v", 0.0, 0.5, "run"), ("w", 1.0, 1.5, "run")], ["run"], {"v": 0.5, "w": 3.0})
    predictions = segments_table(
        [
            ("v", 0, 1, "run", 0.9),
            ("nowhere", 0, 1, "run", 0.9),
            ("w", 1, 2, "run", 0.9),
            ("w", 0, 1, "fly", 1),
        ]
    )
    assert segmentation_map(predictions, truths, ONE_A_SECOND).mean == 1.0
    with pytest.raises(InputError, match="no class"):
        segmentation_map(predictions, truth([], []), ONE_A_SECOND)


durations = st.lists(st.sampled_from([0.3, 5.0, 12.0]) | st.floats(0.5, 14.0), min_size=3, max_size=3).map(
    lambda seconds: dict(zip(("v", "w", "x"), seconds, strict=True))
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(predicted_rows, max_size=20),
    st.lists(true_rows, max_size=12),
    durations,
    st.sampled_from([(1.0, 1), (10.0, 4), (7.3, 2)]),
    st.booleans(),
    st.booleans(),
)
def test_agrees_with_plain_loops(predicted, true, durations, sampling, strict, shift):
    fps, stride = sampling
    expected = loop_written.segmentation_ap(
        predicted, true, durations, LABELS, fps, stride, strict, int(shift)
    )
    protocol = SegmentationProtocol(fps, stride, strict, "all", index_shift=shift)
    result = segmentation_map(segments_table(predicted), truth(true, LABELS, durations), protocol)
    np.testing.assert_allclose(list(result.per_class.values()), expected, rtol=0, atol=1e-9)
    assert result.mean == pytest.approx(np.mean(expected), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.floats(0.5, 200), st.integers(-3, 70), st.integers(-3, 70))
def test_strict_bounds_are_exact_on_the_positions_themselves(num_positions, duration, first, last):
    grid = make_grid(videos(("v", duration, num_positions / duration)), None, 1)
    rate = grid.rates[0]
    if not rate:
        return
    seconds = (first / rate, last / rate)  # a bound on a position excludes it, whatever rounding says
    inside = covered(grid, np.zeros(1, dtype=np.int64), np.array([seconds]), strict=True)
    assert inside.tolist() == loop_written.true_positions([seconds], int(grid.lengths[0]), rate, True)
