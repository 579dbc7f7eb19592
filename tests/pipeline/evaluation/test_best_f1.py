"""The threshold of best F1 by hand and against plain loops."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.best_f1 import OperatingPoint, best_f1
from tests.pipeline.evaluation import loop_written
from tests.pipeline.evaluation.cases import LABELS, VIDEOS, predicted_rows, segments_table, true_rows, truth

TRUTHS = truth([("v", 0, 10, "run"), ("v", 20, 30, "run"), ("w", 0, 10, "jump")], ["run", "jump"])


def test_classes_and_videos_are_counted_together_by_hand():
    found = [
        ("v", 0, 9, "run", 0.9),  # a hit
        ("w", 0, 10, "run", 0.7),  # of another label
        ("w", 0, 10, "jump", 0.5),  # a hit
        ("v", 0, 10, "run", 0.3),  # its instance is taken
        ("v", 40, 50, "run", 0.2),  # a miss
    ]
    # F1 from each score on: 2/4, 2/5, 4/6, 4/7, 4/8
    assert best_f1(segments_table(found), TRUTHS) == OperatingPoint(0.5, 2 / 3, 2 / 3, 2 / 3)


def test_equal_scores_are_one_operating_point_whatever_their_order():
    hit, miss, other = ("v", 0, 10, "run", 0.5), ("v", 50, 60, "run", 0.5), ("v", 20, 30, "run", 0.4)
    for rows in ([hit, miss, other], [miss, hit, other], [other, miss, hit]):
        # both of 0.5: 2 / (2 + 3); with 0.4: 4 / (3 + 3)
        assert best_f1(segments_table(rows), TRUTHS) == OperatingPoint(0.4, 2 / 3, 2 / 3, 2 / 3)


def test_of_thresholds_with_the_same_f1_the_highest_wins():
    truths = truth([("v", 0, 10, "run"), ("v", 20, 30, "run")], ["run"])
    rows = [("v", 0, 10, "run", 0.9), *(("v", 50, 60, "run", score) for score in (0.8, 0.7, 0.6))]
    # 2/3 with one; with a second hit after three misses it is 4/7
    assert best_f1(segments_table([*rows, ("v", 20, 30, "run", 0.5)]), truths).threshold == 0.9
    # after one miss and with a duplicate of it left out it would be 4/5; 2 / 3 = 4 / 6 is no better than before
    assert best_f1(segments_table([*rows[:3], ("v", 20, 30, "run", 0.5)]), truths).threshold == 0.9


def test_where_nothing_hits_there_is_no_threshold():
    nothing = OperatingPoint(None, 0.0, 0.0, 0.0)
    assert best_f1(segments_table([]), TRUTHS) == nothing
    assert best_f1(segments_table([("v", 50, 60, "run", 0.9)]), TRUTHS) == nothing
    assert best_f1(segments_table([("v", 0, 10, "run", 0.9)]), truth([], ["run"])) == nothing


def test_what_the_truth_does_not_know_is_no_false_positive():
    rows = [("nowhere", 0, 10, "run", 0.9), ("v", 0, 10, "fly", 0.9), ("v", 0, 10, "run", 0.8)]
    assert best_f1(segments_table(rows), TRUTHS) == OperatingPoint(0.8, 1.0, 1 / 3, 1 / 2)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(predicted_rows, max_size=25),
    st.lists(true_rows, max_size=12),
    st.sampled_from([0.3, 0.5, 1.0]),
    st.sampled_from([0.0, 1e-4, 0.5]),
)
def test_agrees_with_plain_loops(predicted, true, tiou, union_epsilon):
    expected = loop_written.best_f1(predicted, true, LABELS, tiou, union_epsilon)
    found = best_f1(
        segments_table(predicted), truth(true, LABELS, VIDEOS), union_epsilon=union_epsilon, tiou=tiou
    )
    if expected is None:
        assert found.threshold is None
    else:
        assert (found.threshold, found.precision, found.recall, found.f1) == pytest.approx(
            expected, abs=1e-12
        )
