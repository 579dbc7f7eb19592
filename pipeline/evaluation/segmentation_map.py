"""Segmentation mAP: how well scores position by position agree with the truth, class by class."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from pipeline.annotations.canonical import Annotations
from pipeline.errors import InputError
from pipeline.evaluation.dense import Grid, covered, highest_scores, make_grid, smooth
from pipeline.evaluation.indexed import IndexedSegments, index_segments, together
from pipeline.evaluation.position_ranking import POSITIONS_HELD, RankedPositions
from pipeline.segments.check import check_segments

POSITIONS_AT_ONCE = 1 << 20  # that are looked at together; each takes some fifty bytes
_SIGMA, _AMPLITUDE = 3.0, 5.0  # of PointTAD's Gaussian; the amplitude scales all scores alike


@dataclass(frozen=True)
class SegmentationProtocol:
    """What a published segmentation mAP depends on besides predictions and truth.

    Attributes:
        fps: frames a second from which the grid is made; None takes each video's own.
        stride: frames to a position of the grid.
        strict_bounds: a position counts as true when `start < f / rate < end` (TSU's tool), rather than from
            `int(start * rate)` to `int(end * rate)`, both included (PointTAD).
        classes: those that count in the mean: `all` labels (one without a true position has AP 0), or only
            those with a `nonzero` AP (TSU's tool).
        min_score: predictions with this score or less are left out.
        index_shift: keep PointTAD's shift: its Gaussians are evaluated at 1 ... L over positions 0 ... L - 1,
            so that scores come one position early.
    """

    fps: float | None
    stride: int
    strict_bounds: bool = False
    classes: Literal["all", "nonzero"] = "all"
    min_score: float = 0.01
    index_shift: bool = True


# PointTAD's frames: 10 a second for MultiTHUMOS, 12 for Charades, one position every 4.
POINTTAD_DENSE_MULTITHUMOS = SegmentationProtocol(fps=10.0, stride=4)
POINTTAD_DENSE_CHARADES = SegmentationProtocol(fps=12.0, stride=4)
TSU_DENSE = SegmentationProtocol(fps=None, stride=16, strict_bounds=True, classes="nonzero")


@dataclass(frozen=True)
class SegmentationMAP:
    """The result of `segmentation_map`, as fractions in [0, 1].

    Attributes:
        protocol: how it was computed.
        per_class: AP of each label, in the order of the annotations' labels.
        mean: over the classes that count.
        num_positions: positions of all videos together.
    """

    protocol: SegmentationProtocol
    per_class: dict[str, float]
    mean: float
    num_positions: int


def segmentation_map(
    predictions: pa.Table, annotations: Annotations, protocol: SegmentationProtocol
) -> SegmentationMAP:
    """Turn scored segments into a score for each class and position, as PointTAD does, and rank these.

    A position of a class has the best score of the predictions that cover it; these scores then spread as
    Gaussians (3 positions of deviation) and add up. The scores are kept in float32, as the AP meter of the
    reference keeps them. The positions of all videos of the truth are ranked together; of equal scores the
    one of the earlier video in the annotations, then the earlier in time, goes first. AP is not interpolated.

    Memory is that of the predictions; the positions of a class that do not fit wait on a local disk, 4 bytes each.

    Args:
        predictions: table with the columns of `SEGMENTS_SCHEMA`; unknown videos and labels are left out.
        annotations: the truth of one subset, raw.
        protocol: the grid and the rules at its edges.
    Raises:
        InputError: a column of `predictions` is missing or unusable, a video's duration or rate is not
            known, or there is no class.
    """
    scores = DenseScores(annotations, protocol)
    scores.add(index_segments(check_segments(predictions), annotations))
    return scores.result()


class DenseScores:
    """`segmentation_map` of predictions that come in any blocks; raises what it raises but for predictions' columns."""

    def __init__(
        self,
        annotations: Annotations,
        protocol: SegmentationProtocol,
        positions_at_once: int = POSITIONS_AT_ONCE,
        positions_held: int = POSITIONS_HELD,
    ) -> None:
        """For predictions of the videos and labels of `annotations`.

        Args:
            annotations: the truth of one subset, raw.
            protocol: the grid and the rules at its edges.
            positions_at_once: about how many positions are looked at together.
            positions_held: about how many positions of a class stay in memory; further ones go to a local disk.
        """
        if not annotations.labels:
            raise InputError("the annotations have no class, so there is nothing to average over")
        self._labels, self._protocol = annotations.labels, protocol
        self._positions_at_once, self._held = positions_at_once, positions_held
        self._truth = index_segments(annotations.instances, annotations)
        self._grid = make_grid(annotations.videos, protocol.fps, protocol.stride)
        self._parts: list[IndexedSegments] = []

    def add(self, predictions: IndexedSegments) -> None:
        """Take some more predictions."""
        strong = predictions.scores > self._protocol.min_score
        kept = predictions[strong & (predictions.videos >= 0) & (predictions.labels >= 0)]
        small = (kept.videos.astype(np.int32), kept.labels.astype(np.int32))
        self._parts.append(IndexedSegments(*small, kept.seconds, kept.scores))

    def result(self) -> SegmentationMAP:
        """The AP of each class, one after the other."""
        predictions = _by_label(together(self._parts), len(self._labels))
        truth = _by_label(self._truth, len(self._labels))
        ap = [self._average_precision(mine, true) for mine, true in zip(predictions, truth, strict=True)]
        counted = [value for value in ap if value > 0 or self._protocol.classes == "all"]
        return SegmentationMAP(
            protocol=self._protocol,
            per_class=dict(zip(self._labels, ap, strict=True)),
            mean=float(np.mean(counted)) if counted else 0.0,
            num_positions=self._grid.size,
        )

    def _average_precision(self, mine: IndexedSegments, true: IndexedSegments) -> float:
        """Of a class, whose segments are by video. Videos that have none of them only count, for they have no score."""
        if not len(true):
            return 0.0
        videos = np.union1d(mine.videos, true.videos)
        with RankedPositions(self._held) as ranked:
            for part in np.split(videos, self._cuts(videos)):
                grid = self._grid.of(part)
                positive = covered(grid, *_within(true, part), strict=self._protocol.strict_bounds)
                ranked.add(self._dense(grid, mine, part), positive, grid.firsts, self._grid.firsts[part])
            return ranked.average_precision()

    def _dense(self, grid: Grid, mine: IndexedSegments, videos: np.ndarray) -> np.ndarray:
        """`[grid.size]` float32, the scores of some videos, whose grid it is."""
        rows = _rows(mine, videos)
        if rows.start == rows.stop:
            return np.zeros(grid.size, dtype=np.float32)
        track = highest_scores(grid, *_within(mine, videos), mine.scores[rows])
        shift, is_first = int(self._protocol.index_shift), bool(videos[0] == 0)
        return smooth(grid, track, _SIGMA, _AMPLITUDE, shift, first=is_first)

    def _cuts(self, videos: np.ndarray) -> np.ndarray:
        ends = np.cumsum(self._grid.lengths[videos])
        return np.flatnonzero(np.diff(ends // self._positions_at_once)) + 1


def _by_label(segments: IndexedSegments, num_labels: int) -> Iterator[IndexedSegments]:
    """The segments of each label, by video."""
    order = np.lexsort((segments.videos, segments.labels))
    ends = np.cumsum(np.bincount(segments.labels, minlength=num_labels))
    return (segments[rows] for rows in np.split(order, ends[:-1]))


def _rows(segments: IndexedSegments, videos: np.ndarray) -> slice:
    """The rows, by video, from the first to the last of some videos."""
    first, last = np.searchsorted(segments.videos, [videos[0], videos[-1] + 1])
    return slice(first, last)


def _within(segments: IndexedSegments, videos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in `videos`, and seconds, of the segments in these videos, which are all from the first to the last."""
    rows = _rows(segments, videos)
    return np.searchsorted(videos, segments.videos[rows]), segments.seconds[rows]
