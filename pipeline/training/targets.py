"""What a detector should say about each training window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.annotations.canonical import Annotations
from pipeline.detector.settings import WindowConfig
from pipeline.detector.windows import Window, extents, places, visible_in_each, window_at
from pipeline.features.index import IndexedVideos
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
    videos: Sequence[VideoFeatures], annotations: Annotations, config: WindowConfig
) -> LabelledWindows:
    """The training windows of `videos`, in their order: a pure function of its arguments.

    Windows without a target are left out unless `config.keep_empty`.

    Args:
        videos: index entries of complete videos of one store, at least one.
        annotations: the truth; a class index is a position in its `labels`.
        config: how windows are cut, and the rule for instances that a border cuts.
    """
    video_ids, num_snippets, fps = _columns(videos)
    first, count, segments, classes = _by_video(annotations, video_ids)
    video, start, length = places(num_snippets, config, training=True)
    extent = videos[0].timeline.seconds_at(extents(start, length, config), fps[video][:, None])
    window, rows, inside = visible_in_each(
        extent, segments, first[video], count[video], config.min_visible, config.min_window_cover
    )
    targets = np.bincount(window, minlength=len(start))
    kept = np.arange(len(start)) if config.keep_empty else np.flatnonzero(targets)
    return LabelledWindows(
        config,
        video_ids,
        video[kept].astype(np.int32),
        start[kept].astype(np.int32),
        length[kept].astype(np.int32),
        np.concatenate([[0], np.cumsum(targets[kept])]),
        inside,
        classes[rows],
    )


def _columns(videos: Sequence[VideoFeatures]) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Ids, lengths in snippets, and rates of videos, `[V]` each."""
    if isinstance(videos, IndexedVideos):
        return videos.video_ids, videos.num_snippets, videos.fps
    lengths, rates = zip(*((video.num_snippets, video.timeline.rate) for video in videos), strict=True)
    return pa.array([video.video_id for video in videos], pa.string()), np.array(lengths), np.array(rates)


def _by_video(
    annotations: Annotations, video_ids: pa.Array
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The instances of these videos, in the order of the table for each.

    Returns:
        Of each video its first instance and their number, `[V]`; segments `[N, 2]` in seconds and class indices `[N]`.
    """
    instances = annotations.instances
    video = pc.fill_null(pc.index_in(instances["video_id"], value_set=video_ids), len(video_ids)).to_numpy()
    order = np.argsort(video, kind="stable")
    bounds = np.searchsorted(video[order], np.arange(len(video_ids) + 1))
    labels = pc.index_in(instances["label"], value_set=pa.array(annotations.labels, pa.string())).to_numpy()
    segments = np.stack([instances["t_start"].to_numpy(), instances["t_end"].to_numpy()], axis=1)
    return bounds[:-1], np.diff(bounds), segments[order], labels[order].astype(np.int32)
