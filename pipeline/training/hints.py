"""What makes a run hopeless before it begins: a line each, with the setting to change."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from models.points.config import PointConfig
from pipeline.detector.settings import WindowConfig
from pipeline.features.variation import why_constant
from pipeline.features.video_features import VideoFeatures
from pipeline.training.plan import TrainingPlan

# The demo, whose actions are easier than any real ones, takes some 530 windows and 800 steps; the smallest published
# run, DualDETR's on MultiTHUMOS, 1,600 windows and 3,000 steps.
_FEW_WINDOWS, _FEW_STEPS = 100, 400
# A fiftieth of the usual 128 snippets is two and a half, which hardly show where an action begins and ends.
_LEAST_OF_WINDOW = 1 / 50
# What a window that is proposed instead holds of the median action: an eighth, or half of one that is too long.
_SHORT_SHARE, _LONG_SHARE = 1 / 8, 1 / 2
_NAMED = 5


def training_hints(plan: TrainingPlan) -> list[str]:
    """The lines for a run, none for most."""
    return [*_amount(plan), *_proportions(plan), *_classes(plan), *_features(plan)]


def _amount(plan: TrainingPlan) -> Iterable[str]:
    config, windows = plan.config.windows, len(plan.windows)
    optimiser = plan.config.optimiser
    if windows < _FEW_WINDOWS:
        remedy = "annotate more videos"
        tenth = max(1, round(config.length / 10))
        if config.mode == "sliding" and config.train_step > tenth:
            remedy += (
                f", or let windows overlap more: windows.train_step={tenth} instead of {config.train_step}"
            )
        yield f"only {windows} training windows (less than {_FEW_WINDOWS} teach little); {remedy}"
    steps = math.ceil(windows / optimiser.batch_size) * optimiser.epochs
    if steps < _FEW_STEPS:
        yield (
            f"only {steps} optimiser steps in all ({windows} windows in batches of {optimiser.batch_size}, "
            f"{optimiser.epochs} epochs; less than {_FEW_STEPS} teach little); raise optimiser.epochs, or lower "
            "optimiser.batch_size"
        )


def _proportions(plan: TrainingPlan) -> Iterable[str]:
    windows = plan.config.windows
    instances = plan.truth.by_video()
    lengths, parts, rates = [], [], []
    for video in plan.videos:
        segments = instances[video.video_id].segments
        seconds = segments[:, 1] - segments[:, 0]
        lengths += seconds.tolist()
        parts += (seconds / _window_seconds(video, windows)).tolist()
        rates += [_snippet_seconds(video)] * len(seconds)
    median, part, snippet = np.median(lengths), np.median(parts), np.median(rates)
    sliding = windows.mode == "sliding"
    points = isinstance(plan.config.model, PointConfig)  # which see as finely in windows of any length
    if part < _LEAST_OF_WINDOW and not points:
        finer = f"windows.length={_snippets(median / _SHORT_SHARE / snippet)}"
        remedy = f"try {finer}" if sliding else f"try windows.mode=sliding {finer}"
        if snippet > median:
            remedy = f"extract features of shorter snippets ({snippet:.2g} s apart now; timeline.stride)"
        yield (
            f"{_window_words(windows)} is some {1 / part:.0f} times as long as half of the actions "
            f"({median:.2g} s or less); {remedy}"
        )
    elif sliding and windows.min_window_cover is None and part * windows.min_visible > 1:
        longer = _snippets(median / _LONG_SHARE / snippet)
        yield (
            f"{_window_words(windows)} is too short for half of the actions ({median:.3g} s or more), of which "
            f"it must show {windows.min_visible:g} (windows.min_visible); try windows.length={longer}, or "
            "windows.min_window_cover=0.5"
        )


def _window_words(windows: WindowConfig) -> str:
    return f"windows.length={windows.length}" if windows.mode == "sliding" else f"windows.mode={windows.mode}"


def _snippets(count: float) -> int:
    """A length for windows: a power of two, at least 8."""
    return 2 ** max(3, round(math.log2(count)))


def _snippet_seconds(video: VideoFeatures) -> float:
    """Seconds between neighbouring snippets."""
    first, second = video.timeline.to_seconds(np.array([0.0, 1.0]))
    return float(second - first)


def _window_seconds(video: VideoFeatures, windows: WindowConfig) -> float:
    """Seconds of a window of this video."""
    whole = windows.mode != "sliding"
    return _snippet_seconds(video) * (
        video.num_snippets if whole else min(windows.length, video.num_snippets)
    )


def _classes(plan: TrainingPlan) -> Iterable[str]:
    shown = set(np.unique(plan.windows.labels).tolist())
    missing = [label for index, label in enumerate(plan.labels) if index not in shown]
    tested = set()
    if plan.validation is not None:
        tested = set(plan.validation.truth.instances["label"].unique().to_pylist())
    only_tested = [label for label in missing if label in tested]
    nowhere = [label for label in missing if label not in tested]
    if nowhere:
        yield (
            f"{len(nowhere)} of {len(plan.labels)} classes have no training example: {_names(nowhere)}; leave them out "
            "of dataset.classes, or of the classes that the file lists, or annotate some"
        )
    if only_tested:
        dataset = plan.config.dataset
        yield (
            f"{len(only_tested)} of {len(plan.labels)} classes have examples in the subset {dataset.test_subset} but "
            f"none to train on, and cannot be found: {_names(only_tested)}; share the videos out anew, or look at "
            "dataset.train_subset"
        )


def _names(labels: Sequence[str]) -> str:
    more = len(labels) - _NAMED
    return ", ".join(labels[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _features(plan: TrainingPlan) -> Iterable[str]:
    if reason := why_constant(plan.store, plan.windows.video_ids.to_pylist()):
        yield (
            f"store={plan.config.store}: features {reason}, so nothing can be learned from them; extract them with "
            "other backbone.weights, or look at the files that they were imported from"
        )
