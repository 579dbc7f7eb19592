"""Detection mAP against hand-computed tables and against plain loops."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.evaluation import matching
from pipeline.evaluation.detection_map import ACTIVITYNET, POINTTAD, THUMOS, DetectionProtocol, detection_map
from tests.pipeline.evaluation import loop_written
from tests.pipeline.evaluation.cases import (
    LABELS,
    VIDEOS,
    predicted_rows,
    segments_table,
    true_rows,
    truth,
)


def plain(*thresholds):
    return DetectionProtocol(thresholds)


def test_a_table_computed_by_hand():
    # tIoU with the truth [0, 10]: 1, .8 and .5; the miss in between costs precision.
    truths = truth([("v", 0, 10, "run"), ("w", 0, 10, "run")], ["run"])
    predictions = segments_table(
        [
            ("v", 0, 8, "run", 0.9),  # .8 with the truth of v
            ("v", 50, 60, "run", 0.8),  # nothing there
            ("w", 0, 5, "run", 0.7),  # .5 with the truth of w
        ]
    )
    result = detection_map(predictions, truths, plain(0.5, 0.6, 0.9))
    # at .5: hit, miss, hit -> 1/2 * 1 + 1/2 * 2/3; at .6 only the first hits; at .9 none does
    np.testing.assert_allclose(result.per_class["run"], [5 / 6, 1 / 2, 0], rtol=0, atol=1e-12)
    assert result.average == pytest.approx((5 / 6 + 1 / 2) / 3, abs=1e-12)


def test_the_precision_envelope_lifts_an_early_miss():
    truths = truth([("v", 0, 10, "run"), ("v", 20, 30, "run")], ["run"])
    predictions = segments_table(
        [("v", 50, 60, "run", 0.9), ("v", 0, 10, "run", 0.8), ("v", 20, 30, "run", 0.7)]
    )
    # precision 0, 1/2, 2/3: interpolated 2/3 everywhere
    assert detection_map(predictions, truths, plain(0.5)).average == pytest.approx(2 / 3, abs=1e-12)


def test_a_prediction_falls_through_to_the_next_best_free_truth():
    truths = truth([("v", 0, 10, "run"), ("v", 2, 12, "run")], ["run"])
    # Both overlap [0, 10] most; the second must then take [2, 12], with a tIoU of 7 / 12.
    predictions = segments_table([("v", 0, 10, "run", 0.9), ("v", 0, 9, "run", 0.8)])
    result = detection_map(predictions, truths, plain(0.5, 0.58, 0.59))
    np.testing.assert_allclose(result.per_class["run"], [1, 1, 1 / 2], rtol=0, atol=1e-12)


def test_a_duplicate_of_a_hit_is_a_miss():
    truths = truth([("v", 0, 10, "run"), ("v", 50, 60, "run")], ["run"])
    predictions = segments_table(
        [("v", 0, 10, "run", 0.9), ("v", 0, 10, "run", 0.8), ("v", 50, 60, "run", 0.7)]
    )
    assert detection_map(predictions, truths, plain(0.5)).average == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)


def test_of_equal_scores_the_earlier_row_ranks_first():
    truths = truth([("v", 0, 10, "run")], ["run"])
    hit, miss = ("v", 0, 10, "run", 0.5), ("v", 50, 60, "run", 0.5)
    assert detection_map(segments_table([hit, miss]), truths, plain(0.5)).average == 1.0
    assert detection_map(segments_table([miss, hit]), truths, plain(0.5)).average == 0.5


def test_of_truths_overlapped_alike_the_first_row_is_taken():
    left, right = ("v", 0, 10, "run"), ("v", 10, 20, "run")
    # The best prediction overlaps both by 5 / 15; the order says whether it leaves [0, 10] to the other.
    predictions = segments_table([("v", 5, 15, "run", 0.9), ("v", 0, 10, "run", 0.8)])
    assert detection_map(predictions, truth([left, right], ["run"]), plain(0.3)).average == 0.5
    assert detection_map(predictions, truth([right, left], ["run"]), plain(0.3)).average == 1.0


def test_every_label_counts_and_invalid_truths_stay_positives():
    truths = truth(
        [("v", 0, 10, "run"), ("v", 30, 20, "run"), ("v", 40, 40, "run"), ("v", 0, 10, "jump")],
        ["run", "jump", "swim"],
    )
    predictions = segments_table([("v", 0, 10, "run", 0.9), ("v", 40, 40, "run", 0.8)])
    result = detection_map(predictions, truths, plain(0.1))
    assert {label: ap.item() for label, ap in result.per_class.items()} == {
        "run": pytest.approx(1 / 3),
        "jump": 0.0,
        "swim": 0.0,
    }
    assert result.average == pytest.approx(1 / 9)
    assert result.truths_per_class == {"run": 3, "jump": 1, "swim": 0}


def test_pointtad_adds_to_the_union():
    # plain tIoU is exactly .5; 5 / (10 + 1e-4) is a hair less
    truths = truth([("v", 0, 10, "run")], ["run"])
    predictions = segments_table([("v", 0, 5, "run", 0.9)])
    assert detection_map(predictions, truths, plain(0.5)).average == 1.0
    pointtad = detection_map(predictions, truths, POINTTAD)
    np.testing.assert_array_equal(pointtad.map_per_threshold, [1, 1, 1, 1, 0, 0, 0, 0, 0])


def test_predictions_elsewhere_are_left_out_and_counted():
    truths = truth([("v", 0, 10, "run")], ["run"])
    predictions = segments_table(
        [
            ("elsewhere", 0, 10, "run", 0.9),
            ("elsewhere", 0, 10, "fly", 0.9),
            ("v", 0, 10, "fly", 0.9),
            ("v", 0, 10, "run", 0.1),
        ]
    )
    result = detection_map(predictions, truths)
    assert (result.num_predictions, result.ignored_video, result.ignored_label) == (1, 2, 1)
    assert result.average == 1.0


def test_only_classes_with_truth_count_by_the_rule_of_activitynet():
    truths = truth([("v", 0, 10, "run"), ("v", 0, 10, "jump")], LABELS)
    predictions = segments_table([("v", 0, 10, "run", 0.9), ("v", 0, 10, "swim", 0.9)])
    result = detection_map(predictions, truths, ACTIVITYNET)
    assert {label: ap.mean() for label, ap in result.per_class.items()} == {"run": 1.0, "jump": 0.0}
    assert result.average == 0.5
    assert detection_map(predictions, truth([], LABELS), ACTIVITYNET).average == 0.0


def test_the_truths_that_were_hit_are_told_by_threshold():
    truths = truth([("v", 0, 10, "run"), ("w", 0, 10, "run"), ("v", 0, 10, "jump")], LABELS)
    predictions = segments_table([("w", 0, 6, "run", 0.9), ("v", 0, 10, "jump", 0.1)])
    found = detection_map(predictions, truths, plain(0.5, 0.7)).found
    assert found.tolist() == [[False, False], [True, False], [True, True]]


def test_values_by_threshold_are_keyed_as_written():
    result = detection_map(
        segments_table([("v", 0, 9, "run", 0.9)]), truth([("v", 0, 10, "run")], ["run", "jump"])
    )
    keyed = result.by_threshold(result.map_per_threshold)
    assert list(keyed) == [*(f"0.{i}" for i in range(1, 10)), "average"]
    assert (keyed["0.8"], keyed["average"]) == (0.5, pytest.approx(4 / 9))


def test_thresholds_of_the_published_protocols():
    assert POINTTAD.thresholds == pytest.approx(np.arange(0.1, 1.0, 0.1))
    assert ACTIVITYNET.thresholds == pytest.approx(np.linspace(0.5, 0.95, 10))
    assert THUMOS.thresholds == pytest.approx(np.linspace(0.3, 0.7, 5))


def test_columns_may_come_in_other_types_and_order():
    truths = truth([("v", 0, 10, "run")], ["run"])
    table = pa.table(
        {
            "score": pa.array([0.5], pa.float32()),
            "label": pa.array(["run"]).dictionary_encode(),
            "extra": [None],
            "t_end": pa.array([10], pa.int64()),
            "t_start": pa.array([0.0]),
            "video_id": pa.array(["v"], pa.large_string()),
        }
    )
    assert detection_map(table, truths).average == 1.0


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("score", None, "no column 'score'"),
        ("score", pa.array([float("nan")]), "'score' has values that are not finite"),
        ("t_end", pa.array([float("inf")]), "'t_end' has values that are not finite"),
        ("label", pa.array([None], pa.string()), "'label' has 1 empty values"),
        ("t_start", pa.array(["soon"]), "'t_start' is string, not double"),
        ("video_id", pa.array([["v"]]), "'video_id' is list"),
    ],
)
def test_an_unusable_table_is_one_line_naming_the_column(column, values, told):
    table = segments_table([("v", 0.0, 10.0, "run", 0.5)])
    index = table.column_names.index(column)
    table = table.remove_column(index) if values is None else table.set_column(index, column, values)
    with pytest.raises(InputError, match=told) as error:
        detection_map(table, truth([], ["run"]))
    assert "\n" not in str(error.value)


def test_no_class_is_an_error_and_no_prediction_is_not():
    with pytest.raises(InputError, match="no class"):
        detection_map(segments_table([]), truth([], []))
    assert detection_map(segments_table([]), truth([("v", 0, 1, "run")], ["run"])).average == 0.0


@pytest.mark.parametrize("thresholds", [(), (0.0, 0.5), (0.5, 1.1), (0.5, 0.5), (0.6, 0.5)])
def test_thresholds_must_rise_within_reach(thresholds):
    with pytest.raises(ValueError, match="thresholds"):
        detection_map(segments_table([]), truth([], ["run"]), plain(*thresholds))


@settings(max_examples=100, deadline=None)
@given(st.lists(predicted_rows, max_size=40), st.lists(true_rows, max_size=20), st.sampled_from([0.0, 1e-4]))
def test_agrees_with_plain_loops(predicted, true, union_epsilon):
    protocol = DetectionProtocol(POINTTAD.thresholds, union_epsilon)
    expected = np.array(
        loop_written.detection_map(predicted, true, LABELS, protocol.thresholds, union_epsilon)
    )
    result = detection_map(segments_table(predicted), truth(true, LABELS, VIDEOS), protocol)
    np.testing.assert_allclose(np.stack(list(result.per_class.values())), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.map_per_threshold, expected.mean(axis=0), rtol=0, atol=1e-9)
    assert result.average == pytest.approx(expected.mean(), abs=1e-9)


def test_crowded_groups_agree_with_plain_loops_whatever_the_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    start = np.round(rng.uniform(0, 30, 400), 1)
    rows = [
        (VIDEOS[i % 2], float(s), float(s + length), LABELS[i % 3 % 2], float(score))
        for i, (s, length, score) in enumerate(
            zip(start, rng.uniform(1, 9, 400), np.round(rng.uniform(size=400), 2), strict=True)
        )
    ]
    predicted, true = rows[:250], [row[:4] for row in rows[250:]]
    expected = loop_written.detection_map(
        predicted, true, LABELS, POINTTAD.thresholds, POINTTAD.union_epsilon
    )
    for pairs in (1, 1000, 1 << 20):
        monkeypatch.setattr(matching, "_PAIRS_PER_BLOCK", pairs)
        result = detection_map(segments_table(predicted), truth(true, LABELS, VIDEOS))
        np.testing.assert_allclose(np.stack(list(result.per_class.values())), expected, rtol=0, atol=1e-9)
