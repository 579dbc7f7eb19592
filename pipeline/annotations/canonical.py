"""The one form that every dataset's published annotation file becomes."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError

VIDEOS_SCHEMA = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("subset", pa.string(), nullable=False),
        pa.field("duration", pa.float64()),
        pa.field("fps", pa.float64()),
    ]
)
INSTANCES_SCHEMA = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("t_start", pa.float64(), nullable=False),
        pa.field("t_end", pa.float64(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class VideoInstances:
    """The actions of one video: `segments [N, 2]` in seconds (start, end), `labels [N]` as class names."""

    segments: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Annotations:
    """A dataset's truth, in memory.

    Attributes:
        videos: table of `VIDEOS_SCHEMA`, one row a video, ids unique.
        instances: table of `INSTANCES_SCHEMA`, one row an action instance of these videos, times in seconds.
        labels: class names in the order of the class indices that a detector is trained with, each once;
            every instance has one of them.

    Raises ValueError where the three contradict each other.
    """

    videos: pa.Table
    instances: pa.Table
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.videos["video_id"].unique()) < self.videos.num_rows:
            raise ValueError("annotations: a video appears twice")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("annotations: a label appears twice")
        for column, known in (
            ("video_id", self.videos["video_id"]),
            ("label", pa.array(self.labels, type=pa.string())),
        ):
            strangers = self.instances.filter(pc.invert(pc.is_in(self.instances[column], value_set=known)))
            if strangers.num_rows:
                raise ValueError(
                    f"annotations: an instance has unknown {column} {strangers[column][0].as_py()!r}"
                )

    def __str__(self) -> str:
        """Counts in one line: `val: 200 videos, 3007 instances; test: ...; 20 classes`."""
        subset = self.videos["subset"]
        video = pc.index_in(self.instances["video_id"], value_set=self.videos["video_id"])
        videos, instances = counts(subset), counts(subset.take(video))
        subsets = (f"{name}: {videos[name]} videos, {instances.get(name, 0)} instances" for name in videos)
        return "; ".join([*subsets, f"{len(self.labels)} classes"])

    def subset(self, name: str) -> "Annotations":
        """Only the videos whose subset is `name` (in any case), with their instances; the labels stay.

        Raises InputError, naming the subsets there are, where no video has this one.
        """
        videos = self.videos.filter(pc.equal(pc.utf8_lower(self.videos["subset"]), name.lower()))
        if not videos.num_rows:
            there = ", ".join(sorted(self.videos["subset"].unique().to_pylist())) or "none"
            raise InputError(f"the annotations have no subset {name!r}; they have: {there}")
        return self._of_videos(pc.is_in(self.videos["video_id"], value_set=videos["video_id"]))

    def of(self, video_ids: Collection[str]) -> "Annotations":
        """Only these videos; ids that are not here are passed over."""
        ids = pa.array(video_ids, type=pa.string())
        return self._of_videos(pc.is_in(self.videos["video_id"], value_set=ids))

    def without(self, video_ids: Collection[str]) -> "Annotations":
        """All but these videos; ids that are not here are passed over."""
        ids = pa.array(video_ids, type=pa.string())
        return self._of_videos(pc.invert(pc.is_in(self.videos["video_id"], value_set=ids)))

    def only(self, labels: Collection[str]) -> "Annotations":
        """Only instances of these labels, and only videos that have one; the labels keep their order."""
        kept = pc.is_in(self.instances["label"], value_set=pa.array(labels, type=pa.string()))
        instances = self.instances.filter(kept)
        videos = self.videos.filter(pc.is_in(self.videos["video_id"], value_set=instances["video_id"]))
        return Annotations(videos, instances, tuple(label for label in self.labels if label in set(labels)))

    def by_video(self) -> dict[str, VideoInstances]:
        """Instances grouped by video, in table order; a video without any has arrays of length 0."""
        rows: dict[str, list[int]] = defaultdict(list)
        for index, video_id in enumerate(self.instances["video_id"].to_pylist()):
            rows[video_id].append(index)
        starts = self.instances["t_start"].to_numpy()
        ends = self.instances["t_end"].to_numpy()
        labels = np.array(self.instances["label"].to_pylist(), dtype=object)
        return {
            video_id: VideoInstances(
                segments=np.stack([starts[rows[video_id]], ends[rows[video_id]]], axis=1),
                labels=labels[rows[video_id]],
            )
            for video_id in self.videos["video_id"].to_pylist()
        }

    def _of_videos(self, chosen: pa.ChunkedArray) -> "Annotations":
        """The chosen rows of `videos`, with their instances."""
        videos = self.videos.filter(chosen)
        kept = pc.is_in(self.instances["video_id"], value_set=videos["video_id"])
        return Annotations(videos, self.instances.filter(kept), self.labels)


def counts(column: pa.ChunkedArray) -> dict[str, int]:
    """How often each text occurs, in the order of its first."""
    return {each["values"]: each["counts"] for each in column.value_counts().to_pylist()}
