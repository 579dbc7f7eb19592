"""What a detector should say about each training window."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pyarrow as pa

from pipeline.annotations.canonical import Annotations
from pipeline.detector.settings import WindowConfig
from pipeline.detector.windows import Window, extents, places, visible_in_each, window_at
from pipeline.features.video_features import VideoFeatures


@dataclass(frozen=True)
class LabelledWindow:
    """A window with its truth: `segments [N, 2]` in [0, 1] of the window, `labels [N]` class indices."""

    window: Window
    segments: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class LabelledWindows(Sequence[LabelledWindow]):
    """Windows with their truth in columns, some 40 bytes each; a `LabelledWindow` is made when it is asked for.

    Attributes:
        config: how they were cut.
        video_ids: `[V]`.
        video: `[W]` rows of `video_ids`.
        start, length: `[W]` snippets.
        target_starts: `[W + 1]`, the targets of window `w` are rows `target_starts[w]` to `target_starts[w + 1]`.
        segments: `[N, 2]` in [0, 1] of the window.
        labels: `[N]` class indices.
    """

    config: WindowConfig
    video_ids: pa.Array
    video: np.ndarray
    start: np.ndarray
    length: np.ndarray
    target_starts: np.ndarray
    segments: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.start)

    @overload
    def __getitem__(self, place: int) -> LabelledWindow: ...

    @overload
    def __getitem__(self, place: slice) -> "LabelledWindows": ...

    def __getitem__(self, place: int | slice) -> "LabelledWindow | LabelledWindows":
        if isinstance(place, slice):
            return self._slice(range(len(self))[place])
        video_id = self.video_ids[int(self.video[place])].as_py()
        window = window_at(video_id, int(self.start[place]), int(self.length[place]), self.config)
        row = range(len(self))[place]
        targets = slice(self.target_starts[row], self.target_starts[row + 1])
        return LabelledWindow(window, self.segments[targets], self.labels[targets].astype(np.int64))

    def _slice(self, rows: range) -> "LabelledWindows":
        starts, counts = self.target_starts[:-1][rows], np.diff(self.target_starts)[rows]
        begin = np.concatenate([[0], np.cumsum(counts)])
        targets = np.repeat(starts - begin[:-1], counts) + np.arange(begin[-1])
        return LabelledWindows(
            self.config,
            self.video_ids,
            self.video[rows],
            self.start[rows],
            self.length[rows],
            begin,
            self.segments[targets],
            self.labels[targets],
        )


def label_windows(
    videos: Iterable[VideoFeatures], annotations: Annotations, config: WindowConfig
) -> LabelledWindows:
    """The training windows of `videos`, in their order: a pure function of its arguments.

    Windows without a target are left out unless `config.keep_empty`.

    Args:
        videos: index entries of complete videos that `annotations` knows.
        annotations: the truth; a class index is a position in its `labels`.
        config: how windows are cut, and the rule for instances that a border cuts.
    """
    truth = annotations.by_video()
    class_of = {label: index for index, label in enumerate(annotations.labels)}
    video_ids: list[str] = []
    windows, targets, labels = [np.zeros((0, 4), np.int32)], [np.zeros((0, 2))], [np.zeros(0, np.int32)]
    for number, video in enumerate(videos):
        video_ids.append(video.video_id)
        instances = truth[video.video_id]
        classes = np.array([class_of[label] for label in instances.labels], dtype=np.int32)
        start, length = places(video.num_snippets, config, training=True)
        extent = video.timeline.to_seconds(extents(start, length, config))
        window, rows, inside = visible_in_each(
            extent, instances.segments, config.min_visible, config.min_window_cover
        )
        counts = np.bincount(window, minlength=len(start))
        kept = np.flatnonzero(counts) if not config.keep_empty else np.arange(len(start))
        columns = [np.full(len(kept), number), start[kept], length[kept], counts[kept]]
        windows.append(np.stack(columns, axis=1).astype(np.int32))
        targets.append(inside)
        labels.append(classes[rows])
    video_column, start, length, counts = np.concatenate(windows).T
    return LabelledWindows(
        config,
        pa.array(video_ids, pa.string()),
        np.ascontiguousarray(video_column),
        np.ascontiguousarray(start),
        np.ascontiguousarray(length),
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        np.concatenate(targets),
        np.concatenate(labels),
    )
