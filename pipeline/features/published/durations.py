"""How long each video is and at what rate it runs, as annotations or a table of video facts tell."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.annotations.malformed import LEAST, MOST
from pipeline.errors import InputError
from pipeline.features.manifest import is_manifest, read_manifest
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
    if not is_manifest(url):
        content = storage.read_bytes(url)
        return {
            video_id: _facts(values, f"info={url}: video {video_id!r}")
            for video_id, values in _json_items(content, url)
        }
    table = read_manifest("info", url, ("video_id",), [name for names in _NAMES.values() for name in names])
    facts: dict[str, VideoFacts] = {}
    for number, row in enumerate(table.to_pylist(), start=1):
        video_id = row.pop("video_id")
        if video_id is None:
            raise InputError(f"info={url}: row {number} has no video_id")
        where = f"info={url}: row {number}, video {video_id!r}"
        facts[video_id] = _facts({name: _number(text) for name, text in row.items()}, where)
    return facts


def _json_items(content: bytes, url: str) -> Iterable[tuple[str, Any]]:
    try:
        values = json.loads(content, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise InputError(f"info={url}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"info={url}: must be an object of videos, not a {type(values).__name__}")
    return values.items()


def _facts(values: Any, where: str) -> VideoFacts:
    if not isinstance(values, dict):
        values = {"frames": values}
    facts: dict[str, float | None] = {}
    for fact, names in _NAMES.items():
        name = next((name for name in names if values.get(name) is not None), None)
        value = values[name] if name else None
        if value is not None and not (
            isinstance(value, int | float) and not isinstance(value, bool) and LEAST <= value <= MOST
        ):
            what = "a positive number" if _is_no_positive_number(value) else f"from {LEAST:g} to {MOST:g}"
            raise InputError(f"{where}, {name}: must be {what}, not {_short(value)}")
        facts[fact] = value
    return VideoFacts(**facts)


def _is_no_positive_number(value: Any) -> bool:
    return isinstance(value, bool) or not isinstance(value, int | float) or not value > 0


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _integer(digits: str) -> int | float:
    """A JSON integer; of hundreds of digits, which Python refuses to convert or prints for pages, infinity."""
    return int(digits) if len(digits) < 300 else float(digits)


def _number(text: str | None) -> int | float | str | None:
    """The number that a field of a table holds, or else its text, for the message."""
    if text is None:
        return None
    try:
        return _integer(text) if text.isascii() and text.isdigit() else float(text)
    except ValueError:
        return text
