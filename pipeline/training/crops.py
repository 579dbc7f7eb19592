"""What an epoch sees of a training window: all of it, or a part cut at random where the settings say so."""

import numpy as np

from pipeline.detector.settings import WindowConfig
from pipeline.detector.windows import Window, visible
from pipeline.training.targets import LabelledWindow, LabelledWindows

_TRIES = 200  # released code of ActionFormer


def seen_in_epoch(windows: LabelledWindows, row: int, seed: int, epoch: int) -> LabelledWindow:
    """A training window as an epoch sees it: a matter of seed, epoch and row alone, whoever reads it and whenever."""
    whole = windows[row]
    if windows.config.crop is None:
        return whole
    return crop(whole, windows.config, np.random.default_rng([seed, epoch, row]))


def crop(whole: LabelledWindow, config: WindowConfig, generator: np.random.Generator) -> LabelledWindow:
    """A part of a video, with the actions that it shows (ActionFormer's released code).

    A video longer than `config.crop` is cut to that; of others the crop is a random part between `config.crop_part`.
    An action counts that is shown by at least `config.min_visible`, and is cut off `config.crop_margin` snippets beyond
    the crop. A crop that shows none is drawn anew, up to 200 times.

    Args:
        whole: a video with all its actions.
        config: with a `crop`.
        generator: of this window and epoch.
    """
    assert config.crop is not None
    window = whole.window
    length = min(config.crop, window.length)
    if window.length <= config.crop:
        shortest, longest = (max(1, round(part * window.length)) for part in config.crop_part)
        length = int(generator.integers(shortest, longest, endpoint=True))
    if length == window.length:
        return whole
    segments = window.coordinates(whole.segments)
    for _ in range(_TRIES):
        start = window.start + int(generator.integers(0, window.length - length, endpoint=True))
        cut = Window(window.video_id, start, length, window.rescaling, window.ends_early)
        extent = np.array([start - config.crop_margin, start + cut.span + config.crop_margin])
        rows, inside = visible(extent, segments, config.min_visible, config.min_window_cover)
        shown = cut.normalise(extent[0] + inside * (extent[1] - extent[0]))
        found = LabelledWindow(cut, shown, whole.labels[rows])
        if len(rows) or not len(whole.labels):
            break
    return found
