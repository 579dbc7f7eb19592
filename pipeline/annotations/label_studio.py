"""Label Studio's JSON export (its "task format"): segments on the timeline of a video, or of its sound."""

import logging
import posixpath
import re
from collections.abc import Iterator
from typing import IO, Annotated, Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from pipeline.annotations.malformed import Finite, Positive, first_problem
from pipeline.annotations.published import Published
from pipeline.errors import InputError

logger = logging.getLogger(__name__)

# That of its <Video> tag where the labelling configuration does not say another.
LABEL_STUDIO_FPS = 24.0
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
_FrameNumber = Annotated[int, Field(ge=1)]


class _Range(BaseModel):
    start: _FrameNumber
    end: _FrameNumber


class _Timeline(BaseModel):
    ranges: list[_Range]
    timelinelabels: list[str] = []


class _Sound(BaseModel):
    start: Finite
    end: Finite
    labels: list[str] = []
    original_length: Positive | None = None


class _TimelineRegion(BaseModel):
    type: Literal["timelinelabels"]
    value: _Timeline


class _SoundRegion(BaseModel):
    type: Literal["labels"]
    value: _Sound


class _Annotation(BaseModel):
    result: list[dict[str, Any]]
    was_cancelled: bool = False
    ground_truth: bool = False
    updated_at: str = ""


class _Task(BaseModel):
    data: dict[str, Any]
    annotations: list[_Annotation]


_TASKS = TypeAdapter(list[_Task])
_REGIONS: dict[str, TypeAdapter[Any]] = {
    "timelinelabels": TypeAdapter(_TimelineRegion),
    "labels": TypeAdapter(_SoundRegion),
}


def read_label_studio(stream: IO[bytes] | IO[str], name: str, subset: str, fps: float) -> Published:
    """Read `[{"data": {"video": url}, "annotations": [{"result": [...]}]}]`, what Label Studio exports as JSON.

    Regions of `TimelineLabels` count frames from 1, the last one included: frames 1 to 24 at 24 a second are the first
    second. Regions of `Labels` on a video's sound have seconds. A region with several labels is an instance of each;
    regions of other kinds, boxes for example, are left alone. A task's id is `data.video_id`, or else the name of its
    video's file without suffix and without what an upload puts before it. `data.subset`, `data.fps` and
    `data.duration` go before what the settings say.

    Of several annotations of a task that is taken which is marked as ground truth, or else the one changed last;
    skipped ones are none. A task that nobody has annotated yet is left out.

    Args:
        stream: the open file.
        name: what to call the file in messages.
        subset: of tasks that name none.
        fps: frames a second of tasks that name none: the `frameRate` of the `Video` tag that they were labelled with.
    Raises:
        InputError: the file is not of this format; names the file, the task and the field.
    """
    try:
        tasks = _TASKS.validate_json(stream.read())
    except ValidationError as error:
        problem = first_problem(error, videos_at=None)
        raise InputError(
            f"{name}: {problem}; not what Label Studio exports as JSON (JSON-MIN says less)"
        ) from None
    videos: dict[str, tuple[str, str, float | None, None]] = {}
    instances: list[tuple[str, float, float, str]] = []
    left_out = 0
    for number, task in enumerate(tasks):
        where = f"{name}: task [{number}]"
        annotation = _chosen(task.annotations)
        if annotation is None:
            left_out += 1
            continue
        video_id = _video_id(task.data, where)
        if video_id in videos:
            raise InputError(f"{where}: its video is {video_id!r}, as another task's is; give data.video_id")
        rate = _number(task.data, "fps", where) or fps
        length = _number(task.data, "duration", where)
        for start, end, label, stated in _segments(annotation, rate, where):
            instances.append((video_id, start, end, label))
            length = length or stated
        videos[video_id] = (video_id, str(task.data.get("subset") or subset), length, None)
    if left_out:
        logger.info("%s: %d of %d tasks are not annotated and left out", name, left_out, len(tasks))
    return Published.of_rows(videos.values(), instances)


def _chosen(annotations: list[_Annotation]) -> _Annotation | None:
    done = [annotation for annotation in annotations if not annotation.was_cancelled]
    return max(done, key=lambda one: (one.ground_truth, one.updated_at), default=None)


def _segments(
    annotation: _Annotation, fps: float, where: str
) -> Iterator[tuple[float, float, str, float | None]]:
    """(start, end, label, the video's duration if it is told), in seconds."""
    for number, region in enumerate(annotation.result):
        adapter = _REGIONS.get(str(region.get("type")))
        if adapter is None:
            continue
        try:
            read = adapter.validate_python(region)
        except ValidationError as error:
            raise InputError(f"{where}, result[{number}].{first_problem(error, videos_at=None)}") from None
        if isinstance(read, _SoundRegion):
            for label in read.value.labels:
                yield read.value.start, read.value.end, label, read.value.original_length
            continue
        for label in read.value.timelinelabels:
            for span in read.value.ranges:
                yield (span.start - 1) / fps, span.end / fps, label, None


def _video_id(data: dict[str, Any], where: str) -> str:
    if data.get("video_id"):
        return str(data["video_id"])
    urls = [data["video"]] if "video" in data else [value for value in data.values() if _is_place(value)]
    if len(urls) != 1 or not isinstance(urls[0], str):
        raise InputError(f"{where}, data: which of its values is the video is not plain; give data.video_id")
    parts = urlsplit(urls[0])
    # Files that the server reads from its own disk stand in the query.
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    stem = posixpath.splitext(posixpath.basename(path))[0]
    return _UPLOAD.sub("", stem) if "/data/upload/" in path else stem


def _is_place(value: Any) -> bool:
    return isinstance(value, str) and "/" in value and bool(posixpath.splitext(urlsplit(value).path)[1])


def _number(data: dict[str, Any], key: str, where: str) -> float | None:
    if data.get(key) is None:
        return None
    try:
        return TypeAdapter(Positive).validate_python(data[key])
    except ValidationError as error:
        raise InputError(f"{where}, data.{key}: {first_problem(error, videos_at=None)}") from None
