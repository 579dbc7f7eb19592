"""The precision-recall curve by hand, and that its area is the average precision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.indexed import index_segments
from pipeline.evaluation.precision_recall import precision_at, precision_recall
from pipeline.evaluation.ranking import Ranking
from tests.pipeline.evaluation import loop_written
from tests.pipeline.evaluation.cases import LABELS, segments_table, truth


def test_a_curve_by_hand():
    # Hits at ranks 1, 3 and 4 of four truths: 1, 2/3, 3/4, of which the third is better than the second.
    hits = np.array([True, False, True, True, False])
    recalls = np.array([0.0, 0.1, 0.25, 0.26, 0.5, 0.75, 0.76, 1.0])
    np.testing.assert_allclose(precision_at(hits, 4, recalls), [1, 1, 1, 0.75, 0.75, 0.75, 0, 0])
    assert precision_at(np.zeros(3, dtype=bool), 2, recalls).tolist() == [0.0] * len(recalls)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 10))
def test_its_mean_over_the_steps_of_recall_is_the_average_precision(hits, more):
    count = max(1, sum(hits) + more)
    curve = precision_at(np.array(hits, dtype=bool), count, np.arange(1, count + 1) / count)
    assert curve.mean() == pytest.approx(loop_written.average_precision(hits, count))
    assert (np.diff(curve) <= 0).all()


def test_each_class_with_truth_has_its_curve():
    annotations = truth([("v", 0, 10, "run"), ("w", 0, 10, "jump")], LABELS)
    rows = [
        ("v", 0, 10, "run", 0.5),
        ("v", 30, 40, "run", 0.9),
        ("v", 0, 5, "jump", 0.3),
        ("v", 0, 5, "swim", 0.3),
    ]
    ranking = Ranking(annotations, (0.5, 0.9))
    ranking.add(index_segments(segments_table(rows), annotations))
    curves = precision_recall(ranking, 0.9, np.array([0.5, 1.0]))
    assert {LABELS[label]: curve.tolist() for label, curve in curves.items()} == {
        "run": [0.5, 0.5],
        "jump": [0, 0],
    }
