"""AR@AN: how many true segments a given number of proposals covers, whatever their labels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.annotations.canonical import Annotations
from pipeline.errors import InputError
from pipeline.evaluation.indexed import IndexedSegments, index_segments
from pipeline.evaluation.matching import TrueSegments, overlapping_pairs
from pipeline.evaluation.ranking import ROWS_AT_ONCE, blocks_of_videos
from pipeline.segments.check import check_segments


@dataclass(frozen=True)
class ProposalProtocol:
    """What a published AR@AN depends on besides proposals and truth.

    Attributes:
        thresholds: rising tIoU thresholds over which recall is averaged.
        max_proposals: the curve has the points AN = 1, 2, ... up to this number.
    """

    thresholds: tuple[float, ...]
    max_proposals: int = 100


# BMN and the ActivityNet toolkit, with ActivityNet's thresholds and with those usual for THUMOS14.
ACTIVITYNET_PROPOSALS = ProposalProtocol((0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95))
THUMOS_PROPOSALS = ProposalProtocol((0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0))

_NEVER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class AverageRecall:
    """The result of `average_recall`, as fractions in [0, 1].

    Attributes:
        protocol: how it was computed.
        recall: `[T, A]`, the part of the truths covered at each threshold, for AN = 1 ... A proposals.
        at: `[A]`, mean of `recall` over the thresholds.
        auc: area under `at` over AN = 1 ... A by trapezia, divided by A (so at most 1 - 1 / A).
        num_videos: videos with at least one truth: those that are scored.
    """

    protocol: ProposalProtocol
    recall: np.ndarray
    at: np.ndarray
    auc: float
    num_videos: int


def average_recall(
    predictions: pa.Table, annotations: Annotations, protocol: ProposalProtocol = ACTIVITYNET_PROPOSALS
) -> AverageRecall:
    """Average recall against the average number of proposals, as the ActivityNet toolkit computes both.

    A truth is covered when any proposal of its video reaches the threshold in plain tIoU; one proposal may
    cover several. Labels play no part. Videos without a truth, and predictions in them, are left out.

    AN is an average over videos, not a number in each: at AN a video gives the same share of its proposals
    as every other, best score first (of equal scores, the earlier row). That share is AN times the scored
    videos divided by their proposals, so a video with twice as many proposals gives twice as many; one whose
    share exceeds what it has gives all. Shares are cut to whole proposals in the toolkit's own double
    precision, which now and then is one less than exact arithmetic would give (29 of 100 becomes 28).

    Args:
        predictions: table with the columns of `SEGMENTS_SCHEMA`.
        annotations: the truth of one subset, raw.
        protocol: thresholds and the last AN.
    Raises:
        InputError: a column of `predictions` is missing or unusable, or there is no true instance.
    """
    recall = ProposalRecall(annotations, protocol)
    recall.add(index_segments(check_segments(predictions), annotations))
    return recall.result()


class ProposalRecall:
    """`average_recall` of proposals that come in blocks of whole videos, of which only a rank for each truth is kept.

    Raises InputError where there is no true instance.
    """

    def __init__(
        self,
        annotations: Annotations,
        protocol: ProposalProtocol = ACTIVITYNET_PROPOSALS,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> None:
        self._truth = index_segments(annotations.instances, annotations)
        if not len(self._truth):
            raise InputError("the annotations have no true instance, so there is no recall")
        self._protocol, self._rows_at_once = protocol, rows_at_once
        self._grouped = TrueSegments.grouped(self._truth.seconds, self._truth.videos)
        num_videos = annotations.videos.num_rows
        self._scored = np.bincount(self._truth.videos, minlength=num_videos) > 0
        self._counts = np.zeros(num_videos, dtype=np.int64)
        # `[M, T]`: rank in its video of the best proposal that covers each truth; beyond all where none does.
        self._first = np.full((len(self._truth), len(protocol.thresholds)), _NEVER, dtype=np.int32)

    def add(self, predictions: IndexedSegments) -> None:
        """Take all proposals of some videos."""
        proposals = predictions[(predictions.videos >= 0) & self._scored[predictions.videos]]
        self._counts += np.bincount(proposals.videos, minlength=len(self._counts))
        for rows in blocks_of_videos(proposals.videos, self._rows_at_once):
            self._cover(proposals[rows])

    def result(self) -> AverageRecall:
        """Recall at each AN."""
        videos, most = self._truth.videos, self._protocol.max_proposals
        given = _proposals_given(self._counts, self._scored, self._protocol)
        recall = np.zeros((len(self._protocol.thresholds), most))
        for a, by_video in enumerate(given):
            recall[:, a] = (self._first < by_video[videos, None]).mean(axis=0)
        at = recall.mean(axis=0)
        return AverageRecall(
            protocol=self._protocol,
            recall=recall,
            at=at,
            auc=float(np.trapezoid(at) / most),
            num_videos=int(self._scored.sum()),
        )

    def _cover(self, proposals: IndexedSegments) -> None:
        ordered = proposals[np.lexsort((-proposals.scores, proposals.videos))]
        rank = np.arange(len(ordered)) - np.searchsorted(ordered.videos, ordered.videos)
        for proposal, covered, iou in overlapping_pairs(
            ordered.seconds, ordered.videos, self._grouped, self._protocol.thresholds[0], 0.0
        ):
            for t, threshold in enumerate(self._protocol.thresholds):
                reach = iou >= threshold
                np.minimum.at(self._first[:, t], covered[reach], rank[proposal[reach]])


def _proposals_given(
    counts: np.ndarray, scored: np.ndarray, protocol: ProposalProtocol
) -> Iterator[np.ndarray]:
    """For each AN, `[V]`: how many of its `counts [V]` proposals each video gives."""
    most, videos = protocol.max_proposals, float(scored.sum())
    if not counts.sum():
        yield from np.zeros((most, len(counts)), dtype=np.int64)
        return
    kept = np.minimum((counts * (most * videos / counts.sum())).astype(np.int64), counts)
    for share in np.arange(1, most + 1) / most * (most * videos / kept.sum()):
        yield np.minimum((kept * share).astype(np.int64), kept)
