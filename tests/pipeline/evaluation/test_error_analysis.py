"""Kinds of errors by hand and against plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.error_analysis import GROUPS, KINDS, LEAST_TIOU, ErrorAnalysis, analyse_errors
from pipeline.evaluation.indexed import index_segments
from pipeline.evaluation.ranking import Ranking
from tests.pipeline.evaluation import loop_written
from tests.pipeline.evaluation.cases import LABELS, VIDEOS, predicted_rows, segments_table, true_rows, truth


def analysis(rows, truths, labels=LABELS, tiou=0.5, epsilon=0.0) -> ErrorAnalysis:
    annotations = truth(truths, labels, VIDEOS)
    ranking = Ranking(annotations, (0.3, tiou), epsilon)
    predictions = index_segments(segments_table(rows), annotations)
    ranking.add(predictions)
    return analyse_errors(predictions, ranking, tiou, epsilon)


def kinds_of(found: ErrorAnalysis) -> list[str]:
    return [KINDS[kind] for kind in found.kinds]


def test_each_kind_by_hand():
    truths = [("v", 0, 10, "run"), ("v", 40, 50, "jump"), ("w", 0, 10, "run")]
    rows = [
        ("v", 0, 9, "run", 0.9),
        ("v", 1, 10, "run", 0.8),  # its instance is taken
        ("v", 40, 50, "run", 0.7),  # where a jump is
        ("v", 6, 14, "run", 0.6),  # 4 of 14 s
        ("v", 47, 55, "run", 0.5),  # 3 of 15 s of a jump
        ("v", 9.5, 19.5, "run", 0.4),  # half a second of 19.5
        ("x", 0, 10, "run", 0.3),  # in a video without truth
    ]
    found = analysis(rows, truths)
    assert kinds_of(found) == [
        "true positive", "duplicate", "wrong label", "localisation", "confusion", "background", "background",
    ]  # fmt: skip
    assert found.found_by.tolist() == [0, -1, -1]
    assert found.missed.tolist() == [False, True, True]
    np.testing.assert_allclose(found.own_tiou, [0.9, 0.9, 0, 4 / 14, 0, 0.5 / 19.5, 0])
    # Two true runs, so two predictions a group; jump has none.
    assert found.profile[:4].tolist() == [
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 0, 1],
    ]
    # The one hit is the first already: nothing that comes after it could cost precision.
    assert found.gains.tolist() == [0.0] * len(KINDS)


def test_what_removing_a_kind_gains_by_hand():
    truths = [("v", 0, 10, "run"), ("v", 40, 50, "jump")]
    rows = [("v", 60, 70, "run", 0.9), ("v", 41, 51, "run", 0.8), ("v", 0, 10, "run", 0.7)]
    found = analysis(rows, truths)
    assert kinds_of(found) == ["background", "wrong label", "true positive"]
    # AP of run is 1/3, or 1/2 without either; the mean is over the two classes that have truth.
    expected = [(1 / 2 - 1 / 3) / 2 if kind in ("background", "wrong label") else 0.0 for kind in KINDS]
    np.testing.assert_allclose(found.gains, expected)


def test_of_equal_overlaps_the_own_label_counts():
    truths = [("v", 0, 10, "jump"), ("v", 0, 10, "run")]  # as THUMOS14 labels cliff dives
    rows = [("v", 0, 10, "run", 0.9), ("v", 0, 10, "run", 0.8), ("v", 0, 4, "run", 0.7)]
    assert kinds_of(analysis(rows, truths)) == ["true positive", "duplicate", "localisation"]


def test_nothing_is_no_error():
    found = analysis([], [("v", 0, 10, "run")])
    assert found.kinds.tolist() == []
    assert found.missed.tolist() == [True]
    assert analysis([("v", 0, 10, "run", 0.9)], []).kinds.tolist() == [KINDS.index("background")]


def test_another_ranking_is_refused():
    annotations = truth([("v", 0, 10, "run")], LABELS, VIDEOS)
    predictions = index_segments(segments_table([("v", 0, 9, "run", 0.9)]), annotations)
    with pytest.raises(ValueError, match="just these predictions"):
        analyse_errors(predictions, Ranking(annotations, (0.5,)), 0.5)


def naive_kinds(rows, truths, tiou, epsilon):
    """Kinds by going through every prediction and every truth, and by which prediction each truth was hit."""
    hit, taken = set(), {}
    for index, (video, start, end, label, _) in sorted(enumerate(rows), key=lambda item: -item[1][4]):
        overlaps = [
            (-loop_written.tiou((start, end), (a, b), epsilon), place)
            for place, (where, a, b, what) in enumerate(truths)
            if where == video and what == label and place not in taken
        ]
        if overlaps and -min(overlaps)[0] >= tiou:
            hit.add(index)
            taken[min(overlaps)[1]] = index
    kinds = []
    for index, (video, start, end, label, _) in enumerate(rows):
        best, same = 0.0, False
        for where, a, b, what in truths:
            overlap = loop_written.tiou((start, end), (a, b), epsilon) if where == video else 0.0
            if overlap > best or (overlap == best and what == label):
                best, same = overlap, what == label
        if index in hit:
            kinds.append("true positive")
        elif best >= tiou:
            kinds.append("duplicate" if same else "wrong label")
        elif best >= LEAST_TIOU:
            kinds.append("localisation" if same else "confusion")
        else:
            kinds.append("background")
    return kinds, [taken.get(place, -1) for place in range(len(truths))]


@given(
    st.lists(predicted_rows, max_size=25),
    st.lists(true_rows, max_size=12),
    st.sampled_from([0.5, 0.75]),
    st.sampled_from([0.0, 1e-4]),
)
def test_kinds_profile_and_gains_are_those_of_a_naive_count(rows, truths, tiou, epsilon):
    found = analysis(rows, truths, tiou=tiou, epsilon=epsilon)
    kinds, found_by = naive_kinds(rows, truths, tiou, epsilon)
    assert kinds_of(found) == kinds
    assert found.found_by.tolist() == found_by
    assert found.missed.tolist() == [row < 0 for row in found_by]
    num_truths = {label: sum(row[3] == label for row in truths) for label in LABELS}
    profile = np.zeros((GROUPS, len(KINDS)), dtype=int)
    gains = np.zeros(len(KINDS))
    for label in (label for label in LABELS if num_truths[label]):
        ranked = sorted((i for i, row in enumerate(rows) if row[3] == label), key=lambda i: -rows[i][4])
        for rank, index in enumerate(ranked[: GROUPS * num_truths[label]]):
            profile[math.floor(rank / num_truths[label]), KINDS.index(kinds[index])] += 1
        outcomes = [kinds[index] == "true positive" for index in ranked]
        whole = loop_written.average_precision(outcomes, num_truths[label])
        for number, kind in enumerate(KINDS[1:], start=1):
            left = [outcome for outcome, index in zip(outcomes, ranked, strict=True) if kinds[index] != kind]
            gains[number] += loop_written.average_precision(left, num_truths[label]) - whole
    assert found.profile.tolist() == profile.tolist()
    np.testing.assert_allclose(found.gains, gains / max(1, sum(map(bool, num_truths.values()))), atol=1e-12)
    assert (found.gains >= -1e-12).all()


@given(
    st.lists(predicted_rows, max_size=25), st.lists(true_rows, max_size=12), st.sampled_from([0.25, 0.5, 1.0])
)
def test_what_is_found_from_a_score_on_is_found_by_those_predictions_alone(rows, truths, score):
    whole = analysis(rows, truths)
    surest = [place for place, row in enumerate(rows) if row[4] >= score]
    alone = analysis([rows[place] for place in surest], truths)
    kept = [row if row in surest else -1 for row in whole.found_by.tolist()]
    assert kept == [surest[row] if row >= 0 else -1 for row in alone.found_by.tolist()]
    assert [kinds_of(whole)[place] for place in surest] == kinds_of(alone)
