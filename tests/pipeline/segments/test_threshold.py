"""From which score on segments are shown where nobody says."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.segments.threshold import ScoreThreshold, dividing_score, score_threshold
from tests.pipeline.evaluation.cases import segments_table


def test_it_follows_scores_that_are_all_low():
    low = [0.001, 0.002, 0.003, 0.002, 0.001, 0.03, 0.04, 0.05]
    assert dividing_score(np.array(low)) == 0.03
    assert dividing_score(20 * np.array(low)) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("scores", "threshold"), [([], 0.0), ([0.4], 0.4), ([0.4, 0.4, 0.4], 0.4), ([0.2, 0.9], 0.9)]
)
def test_few_scores(scores, threshold):
    assert dividing_score(np.array(scores)) == threshold


def variance_within(scores, threshold):
    """What Otsu's rule minimises, from its definition: the sum of squares about the mean of each group."""
    groups = [[s for s in scores if s >= threshold], [s for s in scores if s < threshold]]
    return sum((s - sum(group) / len(group)) ** 2 for group in groups for s in group)


@given(st.lists(st.integers(0, 100).map(lambda n: n / 100), min_size=2, max_size=30))
def test_no_other_threshold_divides_better(scores):
    found = dividing_score(np.array(scores))
    assert found in scores
    within = variance_within(scores, found)
    for low, high in itertools.pairwise(sorted(set(scores))):
        assert low < high
        assert within <= variance_within(scores, high) + 1e-9


def test_a_threshold_says_whence_it_comes():
    segments = segments_table(
        [("v", 0, 1, "run", 0.1), ("v", 0, 1, "run", 0.15), ("v", 0, 1, "run", 0.81234)]
    )
    assert score_threshold(0.25, segments) == ScoreThreshold(0.25, "min_score")
    assert str(score_threshold(0.0, segments)) == "a score of 0 or more (min_score)"
    assert str(score_threshold(None, segments)) == "a score of 0.812 or more (where the scores divide best)"
