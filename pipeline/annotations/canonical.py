"""The one form that every dataset's published annotation file becomes."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
        instances: table of `INSTANCES_SCHEMA`, one row an action instance, times in seconds.
        labels: class names in the order of the class indices that a detector is trained with.
    """

    videos: pa.Table
    instances: pa.Table
    labels: tuple[str, ...]

    def subset(self, name: str) -> "Annotations":
        """Only the videos whose subset is `name`, with their instances; the labels stay as they are."""
        videos = self.videos.filter(pc.equal(self.videos["subset"], name))
        kept = pc.is_in(self.instances["video_id"], value_set=videos["video_id"])
        return Annotations(videos, self.instances.filter(kept), self.labels)

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
