"""Segments for video editors, by OpenTimelineIO: a timeline with a marker each, or a cut list of them."""

from types import ModuleType
from typing import Any

import pyarrow as pa

from pipeline.errors import InputError

_EDL = "cmx_3600"
_SHORTEST = 1  # frame, for an editor knows no event without any


def markers_otio(segments: pa.Table, video_id: str, url: str | None, fps: float) -> bytes:
    """An `.otio` file: the video as one clip, a marker for each segment, named by its class; the score is metadata.

    Args:
        segments: table of `SEGMENTS_SCHEMA`, of one video, not empty.
        video_id: what to call the clip.
        url: of its file; None leaves the media to be found by the editor.
        fps: frames a second of the timeline.
    Raises:
        InputError: OpenTimelineIO is not installed.
    """
    otio = _library()
    rows = segments.to_pylist()
    whole = _range(otio, 0.0, max(row["t_end"] for row in rows), fps)
    clip = otio.schema.Clip(name=video_id, media_reference=_media(otio, url), source_range=whole)
    for row in sorted(rows, key=lambda row: (row["t_start"], row["t_end"])):
        clip.markers.append(
            otio.schema.Marker(
                name=row["label"],
                marked_range=_range(otio, row["t_start"], row["t_end"], fps),
                metadata={"raytad": {"score": row["score"]}},
            )
        )
    text: str = otio.adapters.write_to_string(_timeline(otio, video_id, [clip]), "otio_json")
    return text.encode()


def cut_list_edl(segments: pa.Table, video_id: str, url: str | None, fps: float) -> bytes:
    """An `.edl` file (CMX 3600): the segments one after the other by start, each an event with its times in the video.

    Arguments and errors as of `markers_otio`; `fps` is one of the rates that time code has, such as 24, 25 or 30.
    """
    otio = _library()
    clips = [
        otio.schema.Clip(
            name=f"{video_id} {row['label']}",
            media_reference=_media(otio, url),
            source_range=_range(otio, row["t_start"], row["t_end"], fps),
        )
        for row in sorted(segments.to_pylist(), key=lambda row: (row["t_start"], row["t_end"]))
    ]
    try:
        text: str = otio.adapters.write_to_string(_timeline(otio, video_id, clips), _EDL, rate=fps)
    except (ValueError, otio.exceptions.OTIOError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"fps={fps:g}: cannot be written as EDL ({reason}); give 24, 25 or 30") from error
    return text.encode()


def _library() -> ModuleType:
    try:
        import opentimelineio
    except ImportError as error:
        raise InputError("format: otio and edl need OpenTimelineIO; pip install 'raytad[editing]'") from error
    return opentimelineio


def _timeline(otio: ModuleType, name: str, clips: list[Any]) -> Any:
    track = otio.schema.Track(name="actions", kind=otio.schema.TrackKind.Video)
    track.extend(clips)
    timeline = otio.schema.Timeline(name=name)
    timeline.tracks.append(track)
    return timeline


def _media(otio: ModuleType, url: str | None) -> Any:
    return otio.schema.MissingReference() if url is None else otio.schema.ExternalReference(target_url=url)


def _range(otio: ModuleType, start: float, end: float, fps: float) -> Any:
    """Whole frames from the one at `start` up to the one at `end` seconds."""
    first = max(0, round(start * fps))
    length = max(_SHORTEST, round(end * fps) - first)
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(first, fps), otio.opentime.RationalTime(length, fps)
    )
