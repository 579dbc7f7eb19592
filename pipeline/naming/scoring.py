"""Which words say what a segment shows: pooled features against embeddings of the classes."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp, softmax

from models.roi_align import overlap_means, roi_means
from pipeline.errors import InputError
from pipeline.features.timeline import Timeline
from pipeline.naming.settings import NamingConfig
from pipeline.naming.words import Words
from pipeline.segments.detections import VideoDetections

_PAIRS_AT_ONCE = 1 << 20  # of segments and classes, whose numbers lie in memory together


@dataclass(frozen=True)
class Namer:
    """Names segments by `words`, as the settings `config` say."""

    words: Words
    config: NamingConfig

    def name(self, found: VideoDetections, features: np.ndarray, timeline: Timeline) -> VideoDetections:
        """The segments of a video with the classes of the words; classes that they have count for nothing.

        Args:
            found: segments with scores.
            features: all snippets of the video, `[T, dim]`.
            timeline: when they are.
        Returns:
            The best (segment, class) pairs; a segment may be there with several classes.
        Raises:
            InputError: a feature of a segment is not a number.
        """
        segments, scores = _distinct(found)
        places = timeline.to_coordinate(segments)
        count = len(self.words.classes)
        best, values = np.zeros(0, dtype=np.int64), np.zeros(0)
        at_once = max(1, _PAIRS_AT_ONCE // count)
        for first in range(0, len(segments), at_once):
            rows = slice(first, first + at_once)
            probabilities = self.probabilities(self.similarities(self.pool(features, places[rows])))
            pairs = (scores[rows, None] ** self.config.score_power * probabilities).ravel()
            if not np.isfinite(pairs).all():
                raise InputError("a feature is not a number")
            best = np.concatenate([best, first * count + np.arange(len(pairs))])
            values = np.concatenate([values, pairs])
            order = np.argsort(-values, kind="stable")[: self.config.top_k]
            best, values = best[order], values[order]
        rows_of, classes = np.divmod(best, count)
        return VideoDetections(segments[rows_of], classes, values)

    def pool(self, features: np.ndarray, segments: np.ndarray) -> np.ndarray:
        """What features are in segments `[N, 2]` of snippet coordinates: `[N, dim]` float32 of length 1."""
        inside = np.clip(segments, 0, len(features))
        if self.config.pooling == "mean":
            pooled = overlap_means(features, inside)
        else:
            pooled = roi_means(features, inside, self.config.bins)
        return pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)

    def similarities(self, pooled: np.ndarray) -> np.ndarray:
        """Cosines of `pooled [N, dim]` with the classes and, after these, with what is none of them: `[N, K + M]`."""
        return pooled @ np.concatenate([self.words.classes, self.words.nothing]).T

    def probabilities(self, similarities: np.ndarray) -> np.ndarray:
        """`[N, K]` of the classes, from `similarities`; these themselves where the settings want cosines."""
        words, config = self.words, self.config
        if config.probabilities == "cosine":
            return similarities[:, : len(words.classes)].astype(np.float64)
        logits = (config.logit_scale or words.logit_scale) * similarities.astype(np.float64)
        count = len(words.classes)
        if config.probabilities == "softmax":
            return softmax(logits, axis=1)[:, :count]
        if words.logit_bias is not None:
            return expit(logits[:, :count] + words.logit_bias)
        return expit(logits[:, :count] - logsumexp(logits[:, count:], axis=1, keepdims=True))


def _distinct(found: VideoDetections) -> tuple[np.ndarray, np.ndarray]:
    """Each segment once with its best score, best first: detectors of classes give some with several of them."""
    order = np.argsort(-found.scores, kind="stable")
    _, first = np.unique(found.segments[order], axis=0, return_index=True)
    kept = order[np.sort(first)]
    return found.segments[kept], found.scores[kept]
