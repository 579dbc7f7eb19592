"""Windows: the runs of snippets that a detector sees at once, in training and at inference alike."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.detector.rescaling import Rescaling
from pipeline.detector.settings import WindowConfig


@dataclass(frozen=True)
class Window:
    """Snippets `[start, start + length)` of one video; `length` counts real snippets, never padding.

    Attributes:
        video_id: the video.
        start, length: snippets.
        rescaling: how its features are brought to another number of rows; None leaves them.
        ends_early: [0, 1] ends where the last snippet begins instead of where it ends, as in the released code
            of GAP and TP²-DETR.
    """

    video_id: str
    start: int
    length: int
    rescaling: Rescaling | None = None
    ends_early: bool = False

    @property
    def stop(self) -> int:
        return self.start + self.length

    @property
    def span(self) -> int:
        """Snippets that [0, 1] stands for."""
        return max(1, self.length - self.ends_early)

    def normalise(self, coordinates: np.ndarray) -> np.ndarray:
        """Snippet coordinates of the video to [0, 1] of this window's real part."""
        return (coordinates - self.start) / self.span

    def coordinates(self, normalised: np.ndarray) -> np.ndarray:
        """[0, 1] of this window's real part to snippet coordinates: the inverse of `normalise`."""
        return self.start + normalised * self.span


def video_windows(video_id: str, num_snippets: int, config: WindowConfig, *, training: bool) -> list[Window]:
    """The windows of a video of `num_snippets` snippets, as training or prediction sees it."""
    if config.mode == "rescale":
        windows = [Window(video_id, 0, num_snippets, Rescaling(config.length, config.interpolation))]
    elif config.mode == "whole":
        windows = [Window(video_id, 0, num_snippets)]
    elif training:
        windows = cut_windows(video_id, num_snippets, config.length, config.train_step, config.train_last)
    else:
        windows = cut_windows(video_id, num_snippets, config.length, config.test_step, config.test_last)
    return [replace(window, ends_early=config.ends_early) for window in windows]


def cut_windows(
    video_id: str, num_snippets: int, length: int, step: int, last: Literal["shift", "pad"] = "shift"
) -> list[Window]:
    """Sliding windows that cover a whole video.

    Windows of `length` snippets start every `step` snippets. Where a tail remains, one more window ends with
    the video: by `shift` it is moved left so that it is full, by `pad` it starts at the next step and is
    shorter (GAP's test windows). A video of at most `length` snippets is one window.

    Raises ValueError where `step` exceeds `length`, which would leave gaps, or anything is below 1.
    """
    if not 1 <= step <= length or num_snippets < 1:
        raise ValueError(f"need 1 <= step <= length and a snippet, not {step=}, {length=}, {num_snippets=}")
    if num_snippets <= length:
        return [Window(video_id, 0, num_snippets)]
    full = num_snippets - length
    starts = list(range(0, full + 1, step))
    if starts[-1] < full:
        starts.append(full if last == "shift" else starts[-1] + step)
    return [Window(video_id, start, min(length, num_snippets - start)) for start in starts]


def visible(
    extent: np.ndarray, segments: np.ndarray, min_visible: float, min_cover: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The instances that a window shows well enough to be asked for.

    An instance counts where its part inside the window is at least `min_visible` of its own length
    (the rule of TadTR and of TP²-DETR's released code; 1 keeps only instances wholly inside), or at least
    `min_cover` of the window: TSU's reading and watching lasts longer than any window.

    Shares are compared as they are computed, in the unit that is given: about one instance in a thousand of
    THUMOS14 is cut at exactly three quarters, and published counts depend on its rounding in seconds.

    Args:
        extent: (start, end) of the window's [0, 1], in any unit.
        segments: `[N, 2]` (start, end) in the same unit.
        min_visible: in (0, 1].
        min_cover: in (0, 1], or None for no such rule.
    Returns:
        Rows of `segments` that count, `[M]`, and their segments clamped to the window, `[M, 2]` in [0, 1] of
        it.
    """
    start, end = extent
    clamped = segments.clip(start, end)
    shown = clamped[:, 1] - clamped[:, 0]
    whole = segments[:, 1] - segments[:, 0]
    # Clamping to a border that the instance touches may round; what is shown whole counts all the same.
    enough = (shown >= min_visible * whole) | (shown >= whole * (1 - 1e-9))
    if min_cover is not None:
        enough |= shown >= min_cover * (end - start)
    rows = np.flatnonzero((shown > 0) & enough)
    return rows, ((clamped[rows] - start) / (end - start)).clip(0, 1)
