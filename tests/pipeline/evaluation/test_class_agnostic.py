"""Scoring without classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.class_agnostic import is_class_agnostic, without_classes
from pipeline.evaluation.detection_map import THUMOS, detection_map
from tests.pipeline.evaluation import loop_written
from tests.pipeline.evaluation.cases import LABELS, VIDEOS, predicted_rows, segments_table, true_rows, truth


def test_predictions_in_videos_without_truth_are_discarded():
    truths = truth([("v", 0, 10, "run")], LABELS, ("v", "w"))
    predictions = segments_table([("w", 0, 10, "action", 0.9), ("v", 0, 10, "action", 0.8)])
    result = detection_map(*without_classes(predictions, truths), THUMOS)
    assert (result.average, result.num_predictions, result.ignored_video) == (1.0, 1, 1)


def test_a_segment_with_two_labels_counts_twice_unless_told_otherwise():
    truths = truth([("v", 0, 10, "run"), ("v", 0, 10, "jump")], LABELS)
    predictions = segments_table([("v", 0, 10, "action", 0.9)])
    assert detection_map(*without_classes(predictions, truths), THUMOS).average == 0.5
    once = without_classes(predictions, truths, distinct_truths=True)
    assert detection_map(*once, THUMOS).average == 1.0


def test_class_agnostic_predictions_are_known_by_their_only_label():
    truths = truth([], LABELS)
    assert is_class_agnostic(segments_table([("v", 0, 1, "action", 0.5)] * 2), truths)
    assert not is_class_agnostic(segments_table([("v", 0, 1, "action", 1), ("v", 0, 1, "run", 1)]), truths)
    assert not is_class_agnostic(segments_table([]), truths)
    assert not is_class_agnostic(segments_table([("v", 0, 1, "action", 0.5)]), truth([], ["action", "run"]))


@settings(max_examples=50, deadline=None)
@given(st.lists(predicted_rows, max_size=30), st.lists(true_rows, max_size=15))
def test_agrees_with_plain_loops(predicted, true):
    scored = {row[0] for row in true}
    predicted_once = [(*row[:3], "action", row[4]) for row in predicted if row[0] in scored]
    true_once = [(*row[:3], "action") for row in true]
    expected = loop_written.detection_map(predicted_once, true_once, ["action"], THUMOS.thresholds, 0.0)
    result = detection_map(*without_classes(segments_table(predicted), truth(true, LABELS, VIDEOS)), THUMOS)
    np.testing.assert_allclose(result.per_class["action"], expected[0], rtol=0, atol=1e-9)
    assert result.average == pytest.approx(np.mean(expected), abs=1e-9)
