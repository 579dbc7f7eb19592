"""AR@AN against hand-computed tables and against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.evaluation import matching
from pipeline.evaluation.average_recall import (
    ACTIVITYNET_PROPOSALS,
    THUMOS_PROPOSALS,
    ProposalProtocol,
    average_recall,
)
from tests.pipeline.evaluation import loop_written
from tests.pipeline.evaluation.cases import VIDEOS, predicted_rows, segments_table, true_rows, truth


def test_a_table_computed_by_hand():
    # One video, two truths; proposals by score: a tIoU of .8 with the first, a miss, 1 with the second.
    truths = truth([("v", 0, 10, "run"), ("v", 20, 30, "jump")], ["run", "jump"])
    predictions = segments_table(
        [("v", 20, 30, "fly", 0.1), ("v", 0, 8, "jump", 0.9), ("v", 50, 60, "run", 0.5)]
    )
    result = average_recall(predictions, truths, ProposalProtocol((0.5, 0.9), max_proposals=3))
    np.testing.assert_allclose(result.recall, [[1 / 2, 1 / 2, 1], [0, 0, 1 / 2]], rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.at, [1 / 4, 1 / 4, 3 / 4], rtol=0, atol=1e-12)
    # trapezia between AN = 1, 2 and 3: 1/4 and 1/2, over 3
    assert result.auc == pytest.approx((1 / 4 + 1 / 2) / 3, abs=1e-12)
    assert result.num_videos == 1


def test_an_is_an_average_over_videos_in_shares_of_their_proposals():
    # v has three proposals, w one: at AN = 1 each gives half, v one (of 1.5) and w none (of 0.5).
    truths = truth([("v", 0, 10, "run"), ("w", 0, 10, "run")], ["run"])
    hit = [("v", 0, 10, "run", 0.1), ("w", 0, 10, "run", 0.9)]
    miss = [("v", 50, 60, "run", 0.8), ("v", 70, 80, "run", 0.7)]
    result = average_recall(segments_table(hit + miss), truths, ProposalProtocol((0.5,), max_proposals=2))
    np.testing.assert_allclose(result.at, [0, 1], rtol=0, atol=1e-12)


def test_no_video_gives_more_than_it_has():
    truths = truth([("v", 0, 10, "run"), ("w", 0, 10, "run")], ["run"])
    result = average_recall(segments_table([("v", 0, 10, "run", 0.9)]), truths)
    # All of the single proposal is half a proposal a video, so it is given from AN = 1 on.
    np.testing.assert_allclose(result.at, np.full(100, 1 / 2), rtol=0, atol=1e-12)
    assert result.auc == pytest.approx(99 / 100 / 2, abs=1e-12)


def test_the_cut_to_whole_proposals_is_the_toolkits():
    # 100 proposals, of which the 29th by score covers the truth: 100 * (29 / 100) is a hair under 29.
    rows = [("v", 50, 60, "run", 1 - i / 100) for i in range(100)]
    rows[28] = ("v", 0, 10, "run", 1 - 28 / 100)
    result = average_recall(segments_table(rows), truth([("v", 0, 10, "run")], ["run"]))
    assert result.at[:31].tolist() == [0.0] * 29 + [1.0, 1.0]


def test_one_proposal_may_cover_several_truths_and_invalid_ones_are_never_covered():
    truths = truth([("v", 0, 10, "run"), ("v", 0, 10, "jump"), ("v", 5, 5, "run")], ["run", "jump"])
    result = average_recall(segments_table([("v", 0, 10, "run", 0.9)]), truths)
    np.testing.assert_allclose(result.at, np.full(100, 2 / 3), rtol=0, atol=1e-12)


def test_videos_without_truth_play_no_part():
    truths = truth([("v", 0, 10, "run")], ["run"])
    elsewhere = [(video, 0, 10, "run", 1.0) for video in ("w", "nowhere") for _ in range(50)]
    alone = average_recall(segments_table([("v", 0, 10, "run", 0.9)]), truths)
    among = average_recall(segments_table([*elsewhere, ("v", 0, 10, "run", 0.9)]), truths)
    np.testing.assert_array_equal(among.recall, alone.recall)
    assert among.num_videos == 1


def test_no_proposal_is_no_recall_and_no_truth_is_an_error():
    result = average_recall(segments_table([]), truth([("v", 0, 1, "run")], ["run"]))
    assert (result.at.max(), result.auc) == (0.0, 0.0)
    with pytest.raises(InputError, match="no true instance"):
        average_recall(segments_table([("v", 0, 1, "run", 0.5)]), truth([], ["run"]))


def test_thresholds_of_the_published_protocols():
    assert ACTIVITYNET_PROPOSALS.thresholds == pytest.approx(np.linspace(0.5, 0.95, 10))
    assert THUMOS_PROPOSALS.thresholds == pytest.approx(np.linspace(0.5, 1.0, 11))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(predicted_rows, max_size=40),
    st.lists(true_rows, min_size=1, max_size=12),
    st.sampled_from([1, 3, 10]),
)
def test_agrees_with_plain_loops(predicted, true, most):
    thresholds = (0.25, 0.5, 0.75, 1.0)
    expected = np.array(loop_written.average_recall(predicted, true, thresholds, most))
    result = average_recall(
        segments_table(predicted), truth(true, ("run", "jump"), VIDEOS), ProposalProtocol(thresholds, most)
    )
    np.testing.assert_allclose(result.recall, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.at, expected.mean(axis=0), rtol=0, atol=1e-9)


def test_many_proposals_agree_with_plain_loops_whatever_the_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    start = np.round(rng.uniform(0, 90, 350), 1)
    rows = [
        (VIDEOS[i % 7 % 3], float(s), float(s + length), "run", float(score))
        for i, (s, length, score) in enumerate(
            zip(start, rng.uniform(1, 9, 350), np.round(rng.uniform(size=350), 2), strict=True)
        )
    ]
    protocol = ProposalProtocol((0.3, 0.5, 0.8), max_proposals=20)
    predicted, true = rows[:320], [row[:4] for row in rows[320:]]
    expected = loop_written.average_recall(predicted, true, protocol.thresholds, 20)
    for pairs in (1000, 1 << 20):
        monkeypatch.setattr(matching, "_PAIRS_PER_BLOCK", pairs)
        result = average_recall(segments_table(predicted), truth(true, ("run",), VIDEOS), protocol)
        np.testing.assert_allclose(result.recall, expected, rtol=0, atol=1e-9)
