"""Windows: the runs of snippets that a detector sees at once, in training and at inference alike."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.detector.rescaling import Rescaling
from pipeline.detector.settings import WindowConfig

# Of a video that is too long to be predicted at once, as part of a window: neighbours share a quarter.
_LONGEST_STEP = 0.75
_PAIRS_AT_ONCE = 1 << 20  # of windows and instances, so that long videos cost no more memory than short ones


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
    _, starts, lengths = places(np.array([num_snippets]), config, training=training)
    return [
        window_at(video_id, start, length, config)
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]


def window_at(video_id: str, start: int, length: int, config: WindowConfig) -> Window:
    """One of the windows that `places` tells."""
    rescaling = Rescaling(config.length, config.interpolation) if config.mode == "rescale" else None
    return Window(video_id, start, length, rescaling, config.ends_early)


def places(
    num_snippets: np.ndarray, config: WindowConfig, *, training: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The windows of videos of `num_snippets [V]` snippets, as training or prediction sees them, video by video.

    Returns:
        Their videos (rows of `num_snippets`), starts and lengths (snippets), `[W]` each.
    """
    if config.longest is not None and not training:
        return _cut(num_snippets, config.longest, max(1, round(_LONGEST_STEP * config.longest)), "shift")
    if config.mode != "sliding":
        return np.arange(len(num_snippets)), np.zeros_like(num_snippets), num_snippets
    if training:
        return _cut(num_snippets, config.length, config.train_step, config.train_last)
    return _cut(num_snippets, config.length, config.test_step, config.test_last)


def extents(starts: np.ndarray, lengths: np.ndarray, config: WindowConfig) -> np.ndarray:
    """What [0, 1] of each window is in snippet coordinates of its video: `[W, 2]`."""
    span = np.maximum(1, lengths - config.ends_early)
    return np.stack([starts, starts + span], axis=1).astype(np.float64)


def cut_windows(
    video_id: str, num_snippets: int, length: int, step: int, last: Literal["shift", "pad"] = "shift"
) -> list[Window]:
    """Sliding windows that cover a whole video.

    Windows of `length` snippets start every `step` snippets. Where a tail remains, one more window ends with
    the video: by `shift` it is moved left so that it is full, by `pad` it starts at the next step and is
    shorter (GAP's test windows). A video of at most `length` snippets is one window.

    Raises ValueError where `step` exceeds `length`, which would leave gaps, or anything is below 1.
    """
    _, starts, lengths = _cut(np.array([num_snippets]), length, step, last)
    return [
        Window(video_id, start, count) for start, count in zip(starts.tolist(), lengths.tolist(), strict=True)
    ]


def _cut(
    num_snippets: np.ndarray, length: int, step: int, last: Literal["shift", "pad"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Videos, starts and lengths of the windows that `cut_windows` tells of, `[W]` each."""
    if not 1 <= step <= length or (num_snippets < 1).any():
        fewest = num_snippets.min()
        raise ValueError(
            f"need 1 <= step <= length and a snippet, not {step=}, {length=}, num_snippets={fewest}"
        )
    full = np.maximum(0, num_snippets - length)  # where the last full window starts
    steps = full // step
    counts = steps + 1 + (steps * step < full)
    video = np.repeat(np.arange(len(counts)), counts)
    starts = (np.arange(len(video)) - np.repeat(np.cumsum(counts) - counts, counts)) * step
    if last == "shift":
        starts = np.minimum(starts, full[video])
    return video, starts, np.minimum(length, num_snippets[video] - starts)


def visible(
    extent: np.ndarray, segments: np.ndarray, min_visible: float, min_cover: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The instances that a window shows well enough to be asked for: `visible_in_each` of one window.

    Returns:
        Rows of `segments` that count, `[M]`, and their segments clamped to the window, `[M, 2]` in [0, 1] of
        it.
    """
    own = np.zeros(1, dtype=np.int64), np.array([len(segments)])
    _, rows, inside = visible_in_each(np.asarray(extent)[None], segments, *own, min_visible, min_cover)
    return rows, inside


def visible_in_each(
    extents: np.ndarray,
    segments: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
    min_visible: float,
    min_cover: float | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The instances that each window shows well enough to be asked for.

    An instance counts where its part inside the window is at least `min_visible` of its own length
    (the rule of TadTR and of TP²-DETR's released code; 1 keeps only instances wholly inside), or at least
    `min_cover` of the window: TSU's reading and watching lasts longer than any window.

    Shares are compared as they are computed, in the unit that is given: about one instance in a thousand of
    THUMOS14 is cut at exactly three quarters, and published counts depend on its rounding in seconds.

    Args:
        extents: `[W, 2]` (start, end) of the windows' [0, 1], in any unit.
        segments: `[N, 2]` (start, end) in the same unit.
        first, count: `[W]`, the instances of each window's video are rows `first` to `first + count` of `segments`.
        min_visible: in (0, 1].
        min_cover: in (0, 1], or None for no such rule.
    Returns:
        For each pair that counts, by window: the row of the window and of the segment, `[M]` each, and the segment
        clamped to the window, `[M, 2]` in [0, 1] of it.
    """
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))]
    before = np.concatenate([[0], np.cumsum(count)])
    start = 0
    while start < len(count):
        stop = max(start + 1, int(np.searchsorted(before, before[start] + _PAIRS_AT_ONCE, side="right")) - 1)
        windows = np.repeat(np.arange(start, stop), count[start:stop])
        rows = first[windows] + np.arange(len(windows)) - (before[windows] - before[start])
        shown, inside = _visible(extents[windows], segments[rows], min_visible, min_cover)
        found.append((windows[shown], rows[shown], inside))
        start = stop
    windows, rows, inside = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return windows, rows, inside


def _visible(
    extents: np.ndarray, segments: np.ndarray, min_visible: float, min_cover: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Of `[P]` pairs of a window and an instance those that count, and their segments in [0, 1] of the window."""
    start, end = extents[:, :1], extents[:, 1:]
    clamped = segments.clip(start, end)
    shown = clamped[:, 1] - clamped[:, 0]
    whole = segments[:, 1] - segments[:, 0]
    # Clamping to a border that the instance touches may round; what is shown whole counts all the same.
    enough = (shown >= min_visible * whole) | (shown >= whole * (1 - 1e-9))
    if min_cover is not None:
        enough |= shown >= min_cover * (end - start)[:, 0]
    pairs = np.flatnonzero((shown > 0) & enough)
    start, end = start[pairs], end[pairs]
    return pairs, ((clamped[pairs] - start) / (end - start)).clip(0, 1)
