"""The time rule: the one place where seconds become snippet coordinates and back."""

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

Number = TypeVar("Number", float, np.ndarray)

# A duration of n frames may be stored a hair short of n/fps; one part in a thousand of a frame decides.
_FRAME_EPSILON = 1e-3


@dataclass(frozen=True)
class Timeline:
    """Where snippets lie in time.

    Snippet `i` covers frames `[i*stride, i*stride + window)` of the video resampled to `fps`. Frame `k` of the
    resampled video is the frame on screen at `k/fps` seconds after the start of the video stream.

    *Snippet coordinates* `u` are continuous: snippet `i` has its centre at `u = i + 0.5`, so that `u / T` are the
    normalised coordinates in which a detector sees `T` snippets.

    Attributes:
        fps: frames per second of the resampled video; None means each stream's own average rate, in which case
            `resolve` must be called with that rate before anything else.
        stride: frames between the starts of neighbouring snippets, >= 1.
        window: frames in a snippet, >= 1.
    """

    fps: float | None
    stride: int
    window: int

    def __post_init__(self) -> None:
        if self.fps is not None and not (self.fps > 0 and math.isfinite(self.fps)):
            raise ValueError(f"timeline.fps must be positive or null, not {self.fps}")
        if self.stride < 1 or self.window < 1:
            raise ValueError(
                f"timeline.stride and timeline.window must be at least 1, not {self.stride}, {self.window}"
            )

    def resolve(self, average_rate: float) -> "Timeline":
        """This timeline with a definite `fps`: its own, or else the stream's `average_rate` (frames/s)."""
        return self if self.fps is not None else replace(self, fps=float(average_rate))

    @property
    def rate(self) -> float:
        """`fps`, known to be set. Raises ValueError where the timeline still depends on the video."""
        if self.fps is None:
            raise ValueError("this timeline follows each video's own rate: call resolve(average_rate) first")
        return self.fps

    def num_frames(self, duration: float) -> int:
        """Frames of the resampled video that begin within `duration` seconds, at least 1."""
        return max(1, math.ceil(duration * self.rate - _FRAME_EPSILON))

    def num_snippets(self, num_frames: int) -> int:
        """Whole windows in `num_frames` frames; the incomplete last one is dropped, a short video gives one."""
        return max(1, (num_frames - self.window) // self.stride + 1)

    def frame_range(self, first_snippet: int, num_snippets: int) -> tuple[int, int]:
        """Frames `[start, stop)` covered by a run of consecutive snippets."""
        start = first_snippet * self.stride
        return start, start + (num_snippets - 1) * self.stride + self.window

    def to_seconds(self, coordinate: Number) -> Number:
        """Seconds of snippet coordinates; the centre of snippet `i` is `to_seconds(i + 0.5)`."""
        return self.seconds_at(coordinate, self.rate)

    def seconds_at(self, coordinate: Number, rate: Any) -> Number:
        """As `to_seconds`, for videos of these rates (frames/s, a number or an array), whatever `fps` is."""
        return ((coordinate - 0.5) * self.stride + self.window / 2) / rate

    def to_coordinate(self, seconds: Number) -> Number:
        """Snippet coordinates of seconds: the inverse of `to_seconds`."""
        return (seconds * self.rate - self.window / 2) / self.stride + 0.5
