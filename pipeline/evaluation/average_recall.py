"""AR@AN: how many true segments a given number of proposals covers, whatever their labels."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.annotations.canonical import Annotations
from pipeline.errors import InputError
from pipeline.evaluation.indexed import IndexedSegments, index_segments
from pipeline.evaluation.matching import overlapping_pairs
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
    truth = index_segments(annotations.instances, annotations)
    if not len(truth):
        raise InputError("the annotations have no true instance, so there is no recall")
    num_videos = annotations.videos.num_rows
    scored = np.bincount(truth.videos, minlength=num_videos) > 0
    indexed = index_segments(check_segments(predictions), annotations)
    proposals = indexed[(indexed.videos >= 0) & scored[indexed.videos]].best_first()

    given = _proposals_given(np.bincount(proposals.videos, minlength=num_videos), scored, protocol)
    first = _first_to_cover(proposals, truth, np.array(protocol.thresholds))
    recall = np.stack([(first < given[truth.videos, a, None]).mean(axis=0) for a in range(given.shape[1])], 1)
    at = recall.mean(axis=0)
    return AverageRecall(
        protocol=protocol,
        recall=recall,
        at=at,
        auc=float(np.trapezoid(at) / protocol.max_proposals),
        num_videos=int(scored.sum()),
    )


def _proposals_given(counts: np.ndarray, scored: np.ndarray, protocol: ProposalProtocol) -> np.ndarray:
    """`[V, A]`: how many of its `counts [V]` proposals each video gives at each AN."""
    most, videos = protocol.max_proposals, float(scored.sum())
    if not counts.sum():
        return np.zeros((len(counts), most), dtype=np.int64)
    kept = np.minimum((counts * (most * videos / counts.sum())).astype(np.int64), counts)
    shares = np.arange(1, most + 1) / most * (most * videos / kept.sum())
    return np.minimum((kept[:, None] * shares).astype(np.int64), kept[:, None])


def _first_to_cover(proposals: IndexedSegments, truth: IndexedSegments, thresholds: np.ndarray) -> np.ndarray:
    """`[M, T]`: rank in its video of the best proposal that covers each truth; beyond all where none does."""
    by_video = np.argsort(proposals.videos, kind="stable")
    ordered = proposals[by_video]
    rank = np.arange(len(ordered)) - np.searchsorted(ordered.videos, ordered.videos)
    first = np.full((len(truth), len(thresholds)), len(ordered))
    for proposal, covered, iou in overlapping_pairs(
        ordered.seconds, ordered.videos, truth.seconds, truth.videos, thresholds[0], 0.0
    ):
        for t, threshold in enumerate(thresholds):
            reach = iou >= threshold
            np.minimum.at(first[:, t], covered[reach], rank[proposal[reach]])
    return first
