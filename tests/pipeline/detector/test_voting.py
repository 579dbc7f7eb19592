"""Soft-NMS and voting as point detectors publish them, and voting against a loop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.detection import Detections
from pipeline.detector.merging import merge_windows
from pipeline.detector.settings import MergeConfig
from pipeline.detector.voting import VotingWeight, voted
from pipeline.detector.windows import Window
from pipeline.features.timeline import Timeline
from pipeline.features.video_features import VideoFeatures
from pipeline.segments.detections import VideoDetections
from tests.pipeline.detector.test_merging import tiou

# A snippet a second.
VIDEO = VideoFeatures("v", "/v.mp4", 100.0, Timeline(4.0, 4, 4), 100, (), None, lost_chunks=())
SEGMENTS = [[0, 10], [1, 11], [20, 30], [0, 10], [5, 15], [0, 4]]
SCORES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.002]


def merged(labels: list[int], **merge: object) -> VideoDetections:
    found = Detections(torch.tensor(SEGMENTS) / 100, torch.tensor(labels), torch.tensor(SCORES))
    config = MergeConfig.model_validate({"rivals": "all", "soft_nms": 0.5, "min_score": 0.001} | merge)
    return merge_windows(VIDEO, [(Window("v", 0, 100), found)], config)


def test_soft_nms_of_one_class_is_the_published_one() -> None:
    found = merged([0] * 6)
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.40037, 0.14525, 0.01705], atol=2e-5)
    np.testing.assert_allclose(found.segments, [[0, 10], [20, 30], [5, 15], [1, 11], [0, 10]], atol=1e-4)


def test_soft_nms_of_two_classes_is_the_published_one() -> None:
    found = merged([0, 1, 0, 0, 1, 0])
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.7, 0.34628, 0.0812, 0.00105], atol=2e-5)


def test_voting_is_the_published_one() -> None:
    found = merged([0, 1, 0, 0, 1, 0], across_classes=True, voting_tiou=0.7)
    np.testing.assert_allclose(found.segments[0], [0.3038, 10.3038], atol=1e-4)
    np.testing.assert_allclose(found.segments[3], [0.3946, 10.3946], atol=1e-4)
    np.testing.assert_allclose(found.segments[1], [20, 30], atol=1e-4)  # alone
    np.testing.assert_allclose(merged([0] * 6).scores, merged([0] * 6, voting_tiou=0.7).scores)


def test_what_is_too_short_or_too_unsure_is_left_out() -> None:
    assert len(merged([0] * 6, min_score=0.1).scores) == 4
    assert (np.diff(merged([0] * 6, min_snippets=4.0).segments) > 4).all()
    assert len(merged([0, 1, 0, 0, 1, 0], min_snippets=4.0).scores) == 5


@st.composite
def detections(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 24), st.integers(1, 9), st.integers(0, 4), st.integers(0, 2)),
            min_size=1,
            max_size=25,
        )
    )
    table = np.array(rows, dtype=float)
    return (
        np.stack([table[:, 0], table[:, 0] + table[:, 1]], axis=1) / 4,
        table[:, 2] / 4,
        table[:, 3].astype(int),
    )


@given(detections(), st.sampled_from([0.13, 0.41, 1.0]), st.sampled_from(["score", "score_tiou"]), st.data())
def test_a_vote_is_that_of_the_rule_done_one_by_one(
    case: tuple[np.ndarray, np.ndarray, np.ndarray],
    threshold: float,
    weight: VotingWeight,
    data: st.DataObject,
) -> None:
    segments, scores, groups = case
    kept = np.array(data.draw(st.lists(st.integers(0, len(scores) - 1), unique=True)), dtype=int)
    expected = []
    for row in kept:
        votes, total = np.zeros(2), 0.0
        for other in range(len(scores)):
            overlap = tiou(segments[row], segments[other])
            if groups[row] == groups[other] and overlap >= threshold:
                share = scores[other] * (overlap if weight == "score_tiou" else 1.0)
                votes, total = votes + share * segments[other], total + share
        expected.append(votes / total if total else segments[row])
    moved = voted(kept, segments, scores, groups, threshold, weight)
    np.testing.assert_allclose(moved, np.array(expected).reshape(-1, 2), atol=1e-12)


def test_windows_vote_for_each_others_detections() -> None:
    windows = [
        (
            Window("v", start, 50),
            Detections(torch.tensor([segment]) / 50, torch.tensor([0]), torch.tensor([score])),
        )
        for start, segment, score in [(0, [30.0, 40.0], 0.9), (25, [6.0, 16.0], 0.6)]
    ]
    found = merge_windows(VIDEO, windows, MergeConfig(voting_tiou=0.5, voting_weight="score"))
    assert found.segments.tolist() == [pytest.approx([30.4, 40.4], abs=1e-4)]
