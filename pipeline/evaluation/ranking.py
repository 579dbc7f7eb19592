"""Predictions of a whole dataset, matched with the truth block by block: what ranking them needs, a few bytes each."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.annotations.canonical import Annotations
from pipeline.evaluation.indexed import IndexedSegments, index_segments
from pipeline.evaluation.matching import TrueSegments, check_thresholds, match_by_score

# Predictions that are matched together; each needs some hundred bytes while it is.
ROWS_AT_ONCE = 1 << 20


class Ranking:
    """Which predictions hit a true instance of their video and label, at each of some tIoU thresholds.

    A matching never crosses videos, so predictions come in blocks of whole videos, and of each only its score, its
    label and a bit a threshold are kept.
    """

    def __init__(
        self,
        annotations: Annotations,
        thresholds: Sequence[float],
        union_epsilon: float = 0.0,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> None:
        """For predictions of the videos and labels of `annotations`.

        Args:
            annotations: the truth of one subset.
            thresholds: 1 to 63 rising tIoU thresholds.
            union_epsilon: added to the union in tIoU, in seconds.
            rows_at_once: about how many predictions are matched together.
        """
        self.thresholds = tuple(thresholds)
        check_thresholds(np.array(self.thresholds))
        self.truth = index_segments(annotations.instances, annotations)
        self.num_labels = len(annotations.labels)
        self.ignored_video = self.ignored_label = 0
        self._grouped = TrueSegments.grouped(self.truth.seconds, self._groups(self.truth))
        self._union_epsilon, self._rows_at_once = union_epsilon, rows_at_once
        self._bits = np.min_scalar_type((1 << len(self.thresholds)) - 1)
        self._found = np.zeros(len(self.truth), self._bits)
        self._label_type = np.min_scalar_type(max(0, self.num_labels - 1))
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, predictions: IndexedSegments) -> None:
        """Match some more: all predictions of their videos. Of equal scores, those added earlier rank first."""
        known = predictions.videos >= 0
        self.ignored_video += int(np.sum(~known))
        self.ignored_label += int(np.sum(known & (predictions.labels < 0)))
        scored = predictions[known & (predictions.labels >= 0)]
        hits = np.zeros(len(scored), self._bits)
        for rows in blocks_of_videos(scored.videos, self._rows_at_once):
            ranked = rows[np.argsort(-scored.scores[rows], kind="stable")]
            block = scored[ranked]
            hit, taken = match_by_score(
                block.seconds,
                self._groups(block),
                self._grouped,
                np.array(self.thresholds),
                self._union_epsilon,
            )
            hits[ranked[list(hit)]] = list(hit.values())
            self._found[list(taken)] = list(taken.values())
        self._parts.append((scored.labels.astype(self._label_type), scored.scores, hits))

    @property
    def labels(self) -> np.ndarray:
        """`[N]` of the predictions that count, in the order in which they were added."""
        return self._column(0)

    @property
    def scores(self) -> np.ndarray:
        """`[N]` of the same."""
        return self._column(1)

    @property
    def hits(self) -> np.ndarray:
        """`[N]` of the same, unsigned: bit t tells whether the prediction hits at threshold t."""
        return self._column(2)

    @property
    def found(self) -> np.ndarray:
        """`[M, T]` bool, the true instances that a prediction hit, in the annotations' order."""
        return (self._found[:, None] >> np.arange(len(self.thresholds), dtype=self._bits) & 1).astype(bool)

    def _column(self, number: int) -> np.ndarray:
        if len(self._parts) != 1:
            kinds = (self._label_type, np.float64, self._bits)
            empty = tuple(np.zeros(0, kind) for kind in kinds)
            columns = zip(empty, *self._parts, strict=True)
            self._parts = [tuple(np.concatenate(column) for column in columns)]  # type: ignore[list-item]
        return self._parts[0][number]

    def _groups(self, segments: IndexedSegments) -> np.ndarray:
        return segments.videos * self.num_labels + segments.labels


def blocks_of_videos(videos: np.ndarray, rows_at_once: int) -> Iterator[np.ndarray]:
    """The rows `[N]` in blocks that hold whole videos and, unless one video has more, about `rows_at_once` rows.

    Those of a video stay in their order.
    """
    if len(videos) <= rows_at_once:
        yield np.arange(len(videos))
        return
    order = np.argsort(videos, kind="stable")
    begins = np.flatnonzero(np.diff(videos[order], prepend=-1))
    cuts = begins[np.flatnonzero(np.diff(begins // rows_at_once)) + 1]
    yield from np.split(order, cuts)
