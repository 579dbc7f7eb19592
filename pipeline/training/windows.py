"""Windows: the runs of snippets that a detector sees at once, in training and at inference alike."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """Snippets `[start, start + length)` of one video; `length` counts real snippets, never padding."""

    video_id: str
    start: int
    length: int

    @property
    def stop(self) -> int:
        return self.start + self.length

    def normalise(self, coordinates: np.ndarray) -> np.ndarray:
        """Snippet coordinates of the video to [0, 1] of this window's real part."""
        return (coordinates - self.start) / self.length

    def coordinates(self, normalised: np.ndarray) -> np.ndarray:
        """[0, 1] of this window's real part to snippet coordinates: the inverse of `normalise`."""
        return self.start + normalised * self.length


def cut_windows(video_id: str, num_snippets: int, length: int, step: int) -> list[Window]:
    """Sliding windows that cover a whole video.

    Windows of `length` snippets start every `step` snippets. Where a tail remains, one more window is shifted
    left so that it is full and ends with the video. A video of at most `length` snippets is one window.

    Raises ValueError where `step` exceeds `length`, which would leave gaps, or anything is below 1.
    """
    if not 1 <= step <= length or num_snippets < 1:
        raise ValueError(f"need 1 <= step <= length and a snippet, not {step=}, {length=}, {num_snippets=}")
    if num_snippets <= length:
        return [Window(video_id, 0, num_snippets)]
    last = num_snippets - length
    starts = list(range(0, last + 1, step))
    if starts[-1] < last:
        starts.append(last)
    return [Window(video_id, start, length) for start in starts]


def visible(window: Window, segments: np.ndarray, min_visible: float) -> tuple[np.ndarray, np.ndarray]:
    """The instances that a window shows well enough to be asked for.

    An instance counts where its part inside the window is at least `min_visible` of its own length
    (the rule of TadTR and of TP²-DETR's released code; 1 keeps only instances wholly inside).

    Args:
        window: the window.
        segments: `[N, 2]` (start, end) in snippet coordinates of the video.
        min_visible: in (0, 1].
    Returns:
        Rows of `segments` that count, `[M]`, and their segments clamped to the window, `[M, 2]` in [0, 1] of
        it.
    """
    clamped = segments.clip(window.start, window.stop)
    shown = clamped[:, 1] - clamped[:, 0]
    whole = segments[:, 1] - segments[:, 0]
    # A hair of tolerance: an instance wholly inside must count for min_visible=1 whatever the rounding.
    rows = np.flatnonzero((shown > 0) & (shown >= min_visible * whole * (1 - 1e-9)))
    return rows, window.normalise(clamped[rows])
