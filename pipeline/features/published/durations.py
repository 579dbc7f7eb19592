"""How long each video is and at what rate it runs, as annotations or a table of video facts tell."""

import io
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.errors import InputError
from pipeline.features.sources import MANIFEST_READERS
from pipeline.features.timeline import Timeline

# The names under which tables in circulation keep each fact.
_NAMES = {
    "duration": ("duration",),
    "fps": ("fps", "video_fps"),
    "frames": ("frames", "frame_length", "num_frames"),
}


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video: seconds, native frames per second, native frames. Two of them tell the third."""

    duration: float | None = None
    fps: float | None = None
    frames: float | None = None

    @property
    def rate(self) -> float | None:
        """Native frames per second, where they can be known."""
        if self.fps is None and self.frames is not None and self.duration is not None:
            return self.frames / self.duration
        return self.fps

    @property
    def seconds(self) -> float | None:
        """The duration: that of the frames where they are counted, or else as stated."""
        if self.frames is not None and self.fps is not None:
            return self.frames / self.fps
        return self.duration

    def filled_from(self, other: "VideoFacts") -> "VideoFacts":
        """These facts, with those of `other` where one is missing."""
        return VideoFacts(
            self.duration if self.duration is not None else other.duration,
            self.fps if self.fps is not None else other.fps,
            self.frames if self.frames is not None else other.frames,
        )


def place_in_time(timeline: Timeline, facts: VideoFacts, length: int) -> tuple[Timeline, float] | None:
    """The timeline with the video's rate filled in, and its duration in seconds; None where no rate is known.

    A duration that nothing tells is that of the frames which `length` snippets cover.
    """
    rate = timeline.fps or facts.rate
    if rate is None:
        return None
    resolved = timeline.resolve(rate)
    return resolved, facts.seconds or resolved.frame_range(0, length)[1] / resolved.rate


def facts_of_annotations(annotations: Annotations) -> dict[str, VideoFacts]:
    """The facts that annotations hold, by video id."""
    rows = annotations.videos.select(["video_id", "duration", "fps"]).to_pylist()
    return {row["video_id"]: VideoFacts(row["duration"], row["fps"]) for row in rows}


def read_facts(url: str) -> dict[str, VideoFacts]:
    """Video facts from JSON `{video_id: {...}}`, or `{video_id: frames}`, or a Parquet, CSV or JSONL table.

    Of each video it takes `duration` (seconds), `fps` or `video_fps`, and `frames`, `frame_length` or `num_frames`,
    where they are there; a table has them in columns beside `video_id`.

    Raises InputError naming the file, the video and the field.
    """
    suffix = PurePosixPath(url).suffix.lower()
    content = storage.read_bytes(url)
    if suffix not in MANIFEST_READERS:
        return {video_id: _facts(values, url, video_id) for video_id, values in _json_items(content, url)}
    try:
        table = MANIFEST_READERS[suffix](io.BytesIO(content))
    except pa.ArrowInvalid as error:
        raise InputError(f"info={url}: not a readable {suffix} table ({error})") from error
    if "video_id" not in table.column_names:
        raise InputError(f"info={url}: lacks column video_id; it has {', '.join(table.column_names)}")
    return {str(row["video_id"]): _facts(row, url, str(row["video_id"])) for row in table.to_pylist()}


def _json_items(content: bytes, url: str) -> Iterable[tuple[str, Any]]:
    try:
        values = json.loads(content)
    except ValueError as error:
        raise InputError(f"info={url}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"info={url}: must be an object of videos, not a {type(values).__name__}")
    return values.items()


def _facts(values: Any, url: str, video_id: str) -> VideoFacts:
    if not isinstance(values, dict):
        values = {"frames": values}
    facts: dict[str, float | None] = {}
    for fact, names in _NAMES.items():
        name = next((name for name in names if values.get(name) is not None), None)
        value = values[name] if name else None
        if value is not None and not (
            isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
        ):
            raise InputError(
                f"info={url}: video {video_id!r}, {name}: must be a positive number, not {value!r}"
            )
        facts[fact] = value
    return VideoFacts(**facts)
