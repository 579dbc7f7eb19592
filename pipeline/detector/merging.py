"""Detections of overlapping windows become those of their video, each action once.

Detectors are free of non-maximum suppression inside a window, and stay so here. But where windows overlap,
each of them finds the same action. So of two detections of *different* windows that overlap in time, the
better one suppresses the other (TadTR's and TP²-DETR's fusion). A window's detections lie inside it, so two
that overlap in time lie in the overlap of their windows, and nothing outside such an overlap is ever touched.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from models.detection import Detections
from pipeline.detector.settings import MergeConfig
from pipeline.detector.windows import Window
from pipeline.features.store import VideoFeatures
from pipeline.segments.detections import VideoDetections

_PAIRS_PER_BLOCK = 1 << 20


def merge_windows(
    video: VideoFeatures, found: Sequence[tuple[Window, Detections]], config: MergeConfig
) -> VideoDetections:
    """The detections of a video from those of its windows.

    Args:
        video: gives the timeline and the duration to which segments are clamped; those left without length
            go.
        found: each window of the video once, with its detections.
        config: which detections suppress each other, and how many stay.
    """
    counts = [len(detections.scores) for _, detections in found]
    coordinates = [window.coordinates(d.segments.double().clamp(0, 1).numpy()) for window, d in found]
    seconds = video.timeline.to_seconds(np.concatenate([np.zeros((0, 2)), *coordinates]))
    segments = seconds.clip(0.0, video.duration)
    labels = np.concatenate([np.zeros(0, dtype=np.int64), *(d.labels.numpy() for _, d in found)])
    scores = np.concatenate([np.zeros(0), *(d.scores.double().numpy() for _, d in found)])
    starts = np.repeat([window.start for window, _ in found], counts).astype(np.int64)

    long_enough = np.flatnonzero(segments[:, 1] > segments[:, 0])
    segments, labels, scores, starts = (a[long_enough] for a in (segments, labels, scores, starts))
    groups = np.zeros_like(labels) if config.across_classes else labels
    kept = surviving(segments, scores, groups, starts, config.nms_tiou, ties=labels)
    kept = kept[: config.video_top_k or None]
    return VideoDetections(segments[kept], labels[kept], scores[kept])


def surviving(
    segments: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    windows: np.ndarray,
    threshold: float,
    ties: np.ndarray,
) -> np.ndarray:
    """Greedy suppression between windows: the rows that stay, best first.

    In the order of falling score each detection stays unless one that stayed before it is of the same group,
    of another window, and overlaps it by more than `threshold` tIoU. Equal scores are ordered by `ties` and
    then by segment and window, so that the result does not depend on the order of the rows.

    Args:
        segments: `[N, 2]` with start < end.
        scores: `[N]`.
        groups: `[N]` integers; only detections of the same group suppress each other.
        windows: `[N]` integers naming each detection's window; those of one window never suppress each other.
        threshold: tIoU in (0, 1].
        ties: `[N]` integers that order equal scores.
    """
    order = np.lexsort((windows, segments[:, 1], segments[:, 0], ties, -scores))
    better, worse = _rivals(segments[order], groups[order], windows[order], threshold)
    # All detections whose fate no undecided better rival can change are decided together, round by round.
    undecided = np.ones(len(order), dtype=bool)
    stays = np.zeros(len(order), dtype=bool)
    while undecided.any():
        waits = np.zeros(len(order), dtype=bool)
        waits[worse] = True
        decided = undecided & ~waits
        stays |= decided
        undecided &= waits
        undecided[worse[decided[better]]] = False
        alive = undecided[better] & undecided[worse]
        better, worse = better[alive], worse[alive]
    return order[stays]


def _rivals(
    segments: np.ndarray, groups: np.ndarray, windows: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (better, worse) of rows of one group and different windows with tIoU above `threshold`.

    The rows come best first.
    """
    pairs = [np.zeros((2, 0), dtype=np.int64)]
    for left, right in _overlapping(segments, groups):
        overlap = np.minimum(segments[left, 1], segments[right, 1]) - segments[right, 0]
        lengths = segments[:, 1] - segments[:, 0]
        union = lengths[left] + lengths[right] - overlap
        rivals = (windows[left] != windows[right]) & (overlap > threshold * union)
        pairs.append(np.sort(np.stack([left[rivals], right[rivals]]), axis=0))
    better, worse = np.concatenate(pairs, axis=1)
    return better, worse


def _overlapping(segments: np.ndarray, groups: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of pairs of rows of one group whose segments overlap, the earlier start first; each pair once.

    Rows sorted by group and start overlap with a run of the rows after them, so nothing else is looked at,
    and blocks keep memory bounded however many pairs there are.
    """
    order = np.lexsort((segments[:, 0], groups))
    start, end, group = segments[order, 0], segments[order, 1], groups[order]
    stop = np.empty(len(order), dtype=np.int64)
    bounds = np.flatnonzero(np.diff(group)) + 1
    for rows in np.split(np.arange(len(order)), bounds):
        if len(rows):
            stop[rows] = rows[0] + np.searchsorted(start[rows], end[rows], side="left")
    counts = stop - np.arange(len(order)) - 1
    cuts = np.searchsorted(np.cumsum(counts), np.arange(_PAIRS_PER_BLOCK, counts.sum(), _PAIRS_PER_BLOCK))
    for block in np.split(np.arange(len(order)), np.unique(cuts)):
        left = np.repeat(block, counts[block])
        first = np.repeat(np.cumsum(counts[block]) - counts[block], counts[block])
        right = left + 1 + np.arange(len(left)) - first
        yield order[left], order[right]
