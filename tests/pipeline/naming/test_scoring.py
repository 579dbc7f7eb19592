"""Segments and words: numbers against loops, and the right names where they are known."""

from typing import Any

import numpy as np
import pytest

from models.roi_align import roi_align
from pipeline.errors import InputError
from pipeline.features.timeline import Timeline
from pipeline.naming import scoring
from pipeline.naming.scoring import Namer
from pipeline.naming.settings import NamingConfig
from pipeline.naming.words import Words
from pipeline.segments.detections import VideoDetections

TIMELINE = Timeline(10.0, 5, 5)  # a snippet is half a second
DIM = 32


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def some_words(classes: int = 4, nothing: int = 0, bias: float | None = None) -> Words:
    vectors = unit(np.random.default_rng(0).standard_normal((classes + nothing, DIM))).astype(np.float32)
    return Words(tuple("abcdefgh"[:classes]), vectors[:classes], vectors[classes:], 100.0, bias)


def namer(words: Words, **changes: Any) -> Namer:
    return Namer(words, NamingConfig(classes=words.names, **changes))


def found(segments: list[tuple[float, float]], scores: list[float]) -> VideoDetections:
    return VideoDetections(
        np.array(segments, dtype=np.float64).reshape(-1, 2), np.zeros(len(scores), np.int64), np.array(scores)
    )


def video(words: Words, shown: list[int], noise: float = 0.0) -> np.ndarray:
    """Ten snippets, five seconds, of each class in turn."""
    features = np.repeat(words.classes[shown], 10, axis=0) * 7.0  # features are of any length
    return (features + noise * np.random.default_rng(1).standard_normal(features.shape)).astype(np.float16)


@pytest.mark.parametrize("pooling", ["roi_align", "mean"])
@pytest.mark.parametrize("probabilities", ["softmax", "sigmoid"])
def test_segments_are_named_by_what_is_in_them(pooling: str, probabilities: str) -> None:
    words = some_words(nothing=2)
    features = video(words, [2, 0, 3], noise=0.5)
    segments = [(0.5, 4.5), (5.5, 9.5), (10.2, 14.9)]
    named = namer(words, pooling=pooling, probabilities=probabilities, logit_scale=20.0)
    result = named.name(found(segments, [0.9, 0.8, 0.7]), features, TIMELINE)
    for segment, label in zip(segments, [2, 0, 3], strict=True):
        same = result.segments[:, 0] == segment[0]
        assert result.labels[same][0] == label  # best first
        assert sorted(result.labels[same]) == [0, 1, 2, 3]


def test_scores_are_those_of_a_loop() -> None:
    """GAP: the softmax of cosines with RoI-aligned means times exp(logit scale), times actionness."""
    words = some_words(nothing=1)
    features = np.random.default_rng(2).standard_normal((40, DIM)).astype(np.float16)
    segments, scores = [(1.0, 7.3), (4.2, 4.3), (0.0, 20.0)], [0.9, 0.5, 0.2]
    result = namer(words, logit_scale=5.0, top_k=7).name(found(segments, scores), features, TIMELINE)
    pairs = []
    for (start, end), score in zip(segments, scores, strict=True):
        places = np.array([[TIMELINE.to_coordinate(start), TIMELINE.to_coordinate(end)]]).clip(0, 40)
        mean = roi_align(features, places, 16)[0].mean(0)
        logits = 5.0 * np.array([mean @ v / np.linalg.norm(mean) for v in (*words.classes, *words.nothing)])
        share = np.exp(logits) / np.exp(logits).sum()
        pairs += [(score * share[k], start, k) for k in range(4)]
    expected = sorted(pairs, reverse=True)[:7]
    np.testing.assert_allclose(result.scores, [score for score, _, _ in expected], rtol=1e-5)
    assert result.segments[:, 0].tolist() == [start for _, start, _ in expected]
    assert result.labels.tolist() == [label for _, _, label in expected]


def test_what_is_none_of_the_classes_takes_their_probability_and_names_nothing() -> None:
    words = some_words(nothing=2)
    shown = np.concatenate(
        [video(words, [1]), np.repeat(7 * words.nothing[:1], 10, axis=0).astype(np.float16)]
    )
    both = found([(0.0, 5.0), (5.0, 10.0)], [0.5, 0.5])
    for probabilities in ("softmax", "sigmoid"):
        result = namer(words, probabilities=probabilities, top_k=8).name(both, shown, TIMELINE)
        assert (result.labels < 4).all()
        best = [result.scores[result.segments[:, 0] == start].max() for start in (0.0, 5.0)]
        assert best[0] > 0.45, probabilities
        assert best[1] < 0.05, probabilities


def test_siglips_classes_are_judged_by_its_own_bias() -> None:
    words = some_words(bias=-10.0)
    result = namer(words, probabilities="sigmoid", logit_scale=20.0).name(
        found([(0.0, 5.0)], [1.0]), video(words, [1]), TIMELINE
    )
    cosines = words.classes @ words.classes[1]
    expected = sorted(1 / (1 + np.exp(-(20.0 * cosines - 10.0))), reverse=True)
    np.testing.assert_allclose(result.scores, expected, rtol=1e-3)


def test_the_detectors_score_counts_as_the_settings_say() -> None:
    words = some_words()
    both, features = found([(0.0, 5.0), (5.0, 10.0)], [0.25, 1.0]), video(words, [1, 1])
    powers = {
        power: namer(words, score_power=power, top_k=2).name(both, features, TIMELINE).scores
        for power in (0.0, 0.5, 1.0)
    }
    np.testing.assert_allclose(powers[0.0], [1, 1], rtol=1e-3)
    np.testing.assert_allclose(powers[0.5], [1, 0.5], rtol=1e-3)
    np.testing.assert_allclose(powers[1.0], [1, 0.25], rtol=1e-3)


def test_a_segment_that_a_detector_gave_with_several_classes_is_named_once() -> None:
    words = some_words()
    several = VideoDetections(np.array([[0.0, 5.0]] * 3), np.array([3, 1, 2]), np.array([0.3, 0.8, 0.1]))
    result = namer(words, top_k=2).name(several, video(words, [2]), TIMELINE)
    assert result.labels[0] == 2
    assert result.scores[0] == pytest.approx(0.8, rel=1e-3)
    assert result.labels[1] != 2


def test_names_do_not_depend_on_how_many_segments_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = some_words()
    features = np.random.default_rng(5).standard_normal((40, DIM)).astype(np.float16)
    several = found([(float(n), float(n) + 3) for n in range(12)], [0.5] * 12)
    whole = namer(words, top_k=9, logit_scale=3.0).name(several, features, TIMELINE)
    monkeypatch.setattr(scoring, "_PAIRS_AT_ONCE", 8)  # two segments
    parts = namer(words, top_k=9, logit_scale=3.0).name(several, features, TIMELINE)
    np.testing.assert_array_equal(whole.segments, parts.segments)
    np.testing.assert_array_equal(whole.labels, parts.labels)
    np.testing.assert_allclose(whole.scores, parts.scores, rtol=1e-6)


def test_features_that_are_no_numbers_are_told() -> None:
    words = some_words()
    features = video(words, [0])
    features[3] = np.nan
    with pytest.raises(InputError, match="a feature is not a number"):
        namer(words).name(found([(0.0, 5.0)], [1.0]), features, TIMELINE)


def test_a_video_without_segments_stays_so() -> None:
    words = some_words()
    result = namer(words).name(found([], []), video(words, [0]), TIMELINE)
    assert len(result.scores) == len(result.labels) == len(result.segments) == 0
