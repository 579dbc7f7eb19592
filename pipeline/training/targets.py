"""What a detector should say about each training window."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.annotations.canonical import Annotations
from pipeline.detector.settings import WindowConfig
from pipeline.detector.windows import Window, video_windows, visible
from pipeline.features.video_features import VideoFeatures


@dataclass(frozen=True)
class LabelledWindow:
    """A window with its truth: `segments [N, 2]` in [0, 1] of the window, `labels [N]` class indices."""

    window: Window
    segments: np.ndarray
    labels: np.ndarray


def label_windows(
    videos: Iterable[VideoFeatures], annotations: Annotations, config: WindowConfig
) -> list[LabelledWindow]:
    """The training windows of `videos`, in their order: a pure function of its arguments.

    Windows without a target are left out unless `config.keep_empty`.

    Args:
        videos: index entries of complete videos that `annotations` knows.
        annotations: the truth; a class index is a position in its `labels`.
        config: how windows are cut, and the rule for instances that a border cuts.
    """
    truth = annotations.by_video()
    class_of = {label: index for index, label in enumerate(annotations.labels)}
    labelled = []
    for video in videos:
        instances = truth[video.video_id]
        classes = np.array([class_of[label] for label in instances.labels], dtype=np.int64)
        for window in video_windows(video.video_id, video.num_snippets, config, training=True):
            extent = video.timeline.to_seconds(window.coordinates(np.array([0.0, 1.0])))
            rows, inside = visible(extent, instances.segments, config.min_visible, config.min_window_cover)
            if len(rows) or config.keep_empty:
                labelled.append(LabelledWindow(window, inside, classes[rows]))
    return labelled
