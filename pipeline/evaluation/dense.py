"""Segments as values on a grid of positions, one grid for each video, all grids in one row of numbers."""

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError

# Durations are often frames / fps, rounded: such a frame is whole.
_FRAME_TOLERANCE = 1e-6
# A Gaussian this many deviations away is less than half the smallest positive float32.
_REACH_IN_SIGMAS = 16


@dataclass(frozen=True)
class Grid:
    """Where the positions of V videos lie, and when.

    Attributes:
        lengths: `[V]` positions in each video; position f is at `f / rate` seconds.
        rates: `[V]` positions a second.
        firsts: `[V]` where each video begins in an array of all videos' positions, one after the other.
    """

    lengths: np.ndarray
    rates: np.ndarray
    firsts: np.ndarray

    @property
    def size(self) -> int:
        """Positions of all videos together."""
        return int(self.lengths.sum())

    def of(self, videos: np.ndarray) -> "Grid":
        """The grid of some of the videos, one after the other."""
        lengths = self.lengths[videos]
        return Grid(lengths, self.rates[videos], np.cumsum(lengths) - lengths)


def make_grid(videos: pa.Table, fps: float | None, stride: int) -> Grid:
    """A position for every `stride` whole frames of each video, spread evenly over its duration.

    Args:
        videos: table of `VIDEOS_SCHEMA`.
        fps: frames a second; None takes each video's own.
        stride: frames to a position.
    Raises:
        InputError: a video's duration is not known, or its rate where `fps` is None.
    """
    own = videos["fps"].to_pylist() if fps is None else [fps] * videos.num_rows
    ids, durations = videos["video_id"].to_pylist(), videos["duration"].to_pylist()
    for video_id, duration, rate in zip(ids, durations, own, strict=True):
        if not duration:
            raise InputError(f"video {video_id!r} has no duration in the annotations, which seg-mAP needs")
        if not rate:
            raise InputError(
                f"video {video_id!r} has no fps in the annotations, which seg-mAP needs; "
                "give segmentation.fps=<frames a second>"
            )
    seconds = np.array(durations, dtype=np.float64)
    frames = np.floor(seconds * np.array(own, dtype=np.float64) + _FRAME_TOLERANCE).astype(np.int64)
    lengths = frames // stride
    return Grid(lengths, lengths / seconds, np.cumsum(lengths) - lengths)


def covered(grid: Grid, videos: np.ndarray, seconds: np.ndarray, *, strict: bool) -> np.ndarray:
    """The positions that any of some segments covers.

    Args:
        videos: `[N]` indices.
        seconds: `[N, 2]`.
        strict: a segment covers the positions with `start < f / rate < end`; else those from
            `int(start * rate)` to `int(end * rate)`, both included.
    Returns:
        `[grid.size]` bool.
    """
    on_grid = grid.lengths[videos] > 0
    videos, seconds = videos[on_grid], seconds[on_grid]
    rate = grid.rates[videos]
    if strict:
        first, last = _strictly_between(seconds, rate)
    else:
        first, last = np.trunc(seconds * rate[:, None]).T
    begin = np.clip(first, 0, grid.lengths[videos]).astype(np.int64)
    end = np.clip(last + 1, begin, np.maximum(grid.lengths[videos], begin)).astype(np.int64)
    change = np.zeros(grid.size + 1, dtype=np.int64)
    np.add.at(change, grid.firsts[videos] + begin, 1)
    np.add.at(change, grid.firsts[videos] + end, -1)
    return np.cumsum(change[:-1]) > 0


def highest_scores(grid: Grid, videos: np.ndarray, seconds: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The best score among the segments at each position, 0 where there is none: `[grid.size]`.

    A segment covers the positions from `int(start * rate)` up to `int(end * rate)`, the last one excluded,
    that lie in its video.
    """
    bounds = np.trunc(seconds * grid.rates[videos, None])
    bounds = (grid.firsts[videos, None] + np.clip(bounds, 0, grid.lengths[videos, None])).astype(np.int64)
    track = np.zeros(grid.size)
    worst_first = np.argsort(scores, kind="stable")
    for (begin, end), score in zip(bounds[worst_first].tolist(), scores[worst_first].tolist(), strict=True):
        track[begin:end] = score
    return track


def smooth(
    grid: Grid, track: np.ndarray, sigma: float, amplitude: float, shift: int, *, first: bool = True
) -> np.ndarray:
    """Let each position's score spread as a Gaussian over its video, and add them up.

    Args:
        track: `[grid.size]`.
        sigma: standard deviation, in positions.
        amplitude: area of the Gaussian of a score of 1.
        shift: position f gets the sum that belongs to position `f + shift`, 0 or 1.
        first: whether the grid's first video is the first of all. Sums of fewer terms are added in another order, and
            the last bits should not depend on which videos share a grid.
    Returns:
        `[grid.size]` float32. Only terms that are themselves too small for a float32 are left out.
    """
    reach = math.ceil(_REACH_IN_SIGMAS * sigma)
    offsets = np.arange(-reach, reach + 1)
    kernel = amplitude / (sigma * math.sqrt(2 * math.pi)) * np.exp(-(offsets**2) / (2 * sigma**2))
    # Videos lie so far apart that none reaches into another.
    gap = reach + shift
    before = 0 if first else reach
    places = before + np.arange(grid.size) + np.repeat(gap * np.arange(len(grid.lengths)), grid.lengths)
    spaced = np.zeros(before + grid.size + gap * len(grid.lengths))
    spaced[places] = track
    return np.convolve(spaced, kernel)[reach + shift :][places].astype(np.float32)


def _strictly_between(seconds: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last position with `start < f / rate < end`, by just these comparisons, rounding included."""
    first = np.floor(seconds[:, 0] * rate) - 1
    last = np.ceil(seconds[:, 1] * rate) + 1
    for _ in range(3):
        first += first / rate <= seconds[:, 0]
        last -= last / rate >= seconds[:, 1]
    return first, last
