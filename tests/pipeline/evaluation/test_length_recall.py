"""Recall by action length."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.detection_map import POINTTAD, detection_map
from pipeline.evaluation.length_recall import recall_by_length
from tests.pipeline.evaluation.cases import LABELS, VIDEOS, predicted_rows, segments_table, true_rows, truth


def test_a_table_computed_by_hand():
    # Lengths 2, 3, 3.5 and 20; the upper edge of a bin belongs to it. The last two are of no length at all.
    rows = [(0, 2), (0, 3), (0, 3.5), (0, 20), (5, 5), (6, 2)]
    instances = truth([("v", start, end, "run") for start, end in rows], ["run"]).instances
    found = np.array([[1, 0], [1, 1], [0, 0], [1, 0], [0, 0], [0, 0]], dtype=bool)
    result = recall_by_length(found, instances, (3.0, 6.0, 12.5))
    assert result.names == ("0-3 s", "3-6 s", "6-12.5 s", "over 12.5 s")
    assert result.counts.tolist() == [2, 1, 0, 1]
    np.testing.assert_array_equal(result.recall, [[1, 0.5], [0, 0], [np.nan, np.nan], [1, 0]])


@settings(max_examples=30, deadline=None)
@given(st.lists(predicted_rows, max_size=30), st.lists(true_rows, max_size=20))
def test_bins_share_out_the_truths_that_detection_found(predicted, true):
    truths = truth(true, LABELS, VIDEOS)
    detection = detection_map(segments_table(predicted), truths, POINTTAD)
    result = recall_by_length(detection.found, truths.instances, (2.0, 5.0))
    assert result.counts.sum() == sum(end > start for _, start, end, _ in true)
    hits = np.nansum(result.recall * result.counts[:, None], axis=0)
    np.testing.assert_allclose(hits, detection.found.sum(axis=0), rtol=0, atol=1e-9)
