"""Detections of overlapping windows become those of their video, each action once.

Detectors are free of non-maximum suppression inside a window, and stay so here. But where windows overlap,
each of them finds the same action. So of two detections of *different* windows that overlap in time, the
better one suppresses the other. A window's detections lie inside it, so two that overlap in time lie in the overlap
of their windows, and nothing outside such an overlap is ever touched.

`merge.rivals` says who suppress each other. "windows" is the rule above. "overlaps" is TadTR's and TP²-DETR's fusion as
their code has it: two detections of one window are rivals as well where both reach into its overlap with the same other
window. "all" is ordinary non-maximum suppression over a video.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from models.detection import Detections
from pipeline.detector.settings import MergeConfig
from pipeline.detector.voting import voted
from pipeline.detector.windows import Window
from pipeline.features.video_features import VideoFeatures
from pipeline.segments.detections import VideoDetections

_PAIRS_PER_BLOCK = 1 << 20


def merge_windows(
    video: VideoFeatures, found: Sequence[tuple[Window, Detections]], config: MergeConfig
) -> VideoDetections:
    """The detections of a video from those of its windows.

    Args:
        video: gives the timeline and the duration to which segments are clamped; those left without length
            go, and those of no more than `config.min_snippets`.
        found: each window of the video once, with its detections.
        config: which detections suppress each other, how many stay, and whether those that go have moved them.
    """
    counts = [len(detections.scores) for _, detections in found]
    coordinates = [window.coordinates(d.segments.double().clamp(0, 1).numpy()) for window, d in found]
    seconds = video.timeline.to_seconds(np.concatenate([np.zeros((0, 2)), *coordinates]))
    segments = seconds.clip(0.0, video.duration)
    labels = np.concatenate([np.zeros(0, dtype=np.int64), *(d.labels.numpy() for _, d in found)])
    scores = np.concatenate([np.zeros(0), *(d.scores.double().numpy() for _, d in found)])
    starts = np.repeat([window.start for window, _ in found], counts).astype(np.int64)

    snippets = np.concatenate([np.zeros(0), *(np.diff(rows, axis=1)[:, 0] for rows in coordinates)])
    long_enough = np.flatnonzero((segments[:, 1] > segments[:, 0]) & (snippets > config.min_snippets))
    segments, labels, scores, starts = (a[long_enough] for a in (segments, labels, scores, starts))
    groups = np.zeros_like(labels) if config.across_classes else labels
    reach = _reach([window for window, _ in found], counts, coordinates)[long_enough]
    if config.rivals == "all":
        reach = np.ones_like(reach)
    elif config.rivals == "windows":
        reach = np.zeros_like(reach)
    before = scores
    if config.soft_nms is not None:
        scores = softened(
            segments, scores, groups, starts, reach, config.soft_nms, ties=labels, min_score=config.min_score
        )
        kept = _best_first(segments, scores, starts, labels)
    else:
        kept = surviving(segments, scores, groups, starts, reach, config.nms_tiou, ties=labels)
    kept = kept[scores[kept] >= config.min_score][: config.video_top_k or None]
    final = segments[kept]
    if config.voting_tiou is not None:
        final = voted(kept, segments, before, groups, config.voting_tiou, config.voting_weight)
    return VideoDetections(final, labels[kept], scores[kept])


def _reach(windows: Sequence[Window], counts: Sequence[int], coordinates: Sequence[np.ndarray]) -> np.ndarray:
    """`[N, 2]` bool: whether each detection reaches into an overlap of its window with an earlier, a later window.

    The overlaps of a window with earlier ones all begin where it begins, so two detections that reach into the longest
    share any that either reaches into; likewise at its end.
    """
    reach = [np.zeros((0, 2), dtype=bool)]
    for window, count, segments in zip(windows, counts, coordinates, strict=True):
        others = [other for other in windows if other is not window]
        earlier = max((other.stop for other in others if other.start < window.start), default=window.start)
        later = min((other.start for other in others if other.start > window.start), default=window.stop)
        segments = segments.reshape(count, 2)
        reach.append(np.stack([segments[:, 0] < earlier, segments[:, 1] > later], axis=1))
    return np.concatenate(reach)


def surviving(
    segments: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    windows: np.ndarray,
    reach: np.ndarray,
    threshold: float,
    ties: np.ndarray,
) -> np.ndarray:
    """Greedy suppression: the rows that stay, best first.

    In the order of falling score each detection stays unless a rival that stayed before it overlaps it by more than
    `threshold` tIoU. Rivals are of the same group, and of different windows or of the same reach. Equal scores are
    ordered by `ties` and then by segment and window, so that the result does not depend on the order of the rows.

    Args:
        segments: `[N, 2]` with start < end.
        scores: `[N]`.
        groups: `[N]` integers; only detections of the same group suppress each other.
        windows: `[N]` integers naming each detection's window.
        reach: `[N, 2]` bool; two of one window are rivals where both have one of the two.
        threshold: tIoU in (0, 1].
        ties: `[N]` integers that order equal scores.
    """
    order = _best_first(segments, scores, windows, ties)
    better, worse = _rivals(segments[order], groups[order], windows[order], reach[order], threshold)
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


def softened(
    segments: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    windows: np.ndarray,
    reach: np.ndarray,
    sigma: float,
    ties: np.ndarray,
    min_score: float = 0.0,
) -> np.ndarray:
    """The scores `[N]` after Gaussian soft-NMS: each detection in turn, the best first, lowers its rivals' scores.

    A rival with tIoU `o` is multiplied by exp(-o² / sigma). Arguments as for `surviving`; a score that is lowered below
    `min_score` need not be told how far.
    """
    turn = np.empty(len(scores), dtype=np.int64)
    turn[_best_first(segments, scores, windows, ties)] = np.arange(len(scores))
    result = scores.astype(np.float64)
    by_start = np.lexsort((segments[:, 0], groups))
    for rows in np.split(by_start, np.flatnonzero(np.diff(groups[by_start])) + 1):
        if len(rows):
            of_group = (segments[rows], result[rows], windows[rows], reach[rows], turn[rows])
            result[rows] = _softened_group(*of_group, sigma, min_score)
    return result


def _softened_group(
    segments: np.ndarray,
    scores: np.ndarray,
    windows: np.ndarray,
    reach: np.ndarray,
    turn: np.ndarray,
    sigma: float,
    min_score: float,
) -> np.ndarray:
    """`softened` of one group in the order of starts; of equal scores that of least `turn` comes first.

    Pairs are never stored: a point detector's thousands of segments a video all overlap one another.
    """
    start, end = segments.T.copy()
    # Whoever overlaps a segment starts before its end, and no earlier than the longest could.
    low = np.searchsorted(start, start - (end - start).max(), side="left")
    high = np.searchsorted(start, end, side="left")
    length = end - start
    all_are_rivals = bool(reach.all(axis=0).any())
    waiting = scores.copy()
    result = scores.copy()
    for _ in range(len(scores)):
        best = int(waiting.argmax())
        if waiting[best] < min_score or waiting[best] <= 0:
            break
        equal = np.flatnonzero(waiting == waiting[best])
        best = int(equal[turn[equal].argmin()])
        result[best] = waiting[best]
        waiting[best] = -1.0
        near = slice(low[best], high[best])
        inside = np.minimum(end[near], end[best])
        inside -= np.maximum(start[near], start[best])
        np.maximum(inside, 0.0, out=inside)
        tiou = inside / (length[near] + length[best] - inside)
        if not all_are_rivals:
            tiou *= (windows[near] != windows[best]) | (reach[near] & reach[best]).any(axis=1)
        waiting[near] *= np.exp(tiou * tiou * (-1 / sigma))
    left = waiting >= 0
    result[left] = waiting[left]
    return result


def _best_first(
    segments: np.ndarray, scores: np.ndarray, windows: np.ndarray, ties: np.ndarray
) -> np.ndarray:
    return np.lexsort((windows, segments[:, 1], segments[:, 0], ties, -scores))


def _rivals(
    segments: np.ndarray, groups: np.ndarray, windows: np.ndarray, reach: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (better, worse) of rivals with tIoU above `threshold`. The rows come best first."""
    pairs = [np.zeros((2, 0), dtype=np.int64)]
    for left, right in _overlapping(segments, groups):
        overlap = np.minimum(segments[left, 1], segments[right, 1]) - segments[right, 0]
        lengths = segments[:, 1] - segments[:, 0]
        union = lengths[left] + lengths[right] - overlap
        rivals = (windows[left] != windows[right]) | (reach[left] & reach[right]).any(axis=1)
        rivals &= overlap > threshold * union
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
