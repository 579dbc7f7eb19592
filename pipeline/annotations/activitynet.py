"""ActivityNet-style JSON: the format of ActivityNet itself, and of most THUMOS14 files in circulation."""

from collections.abc import Iterable
from typing import IO, Self

import msgspec
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from pipeline.annotations.malformed import Finite, Positive, first_problem
from pipeline.annotations.published import Published
from pipeline.errors import InputError


class _Instance(BaseModel):
    model_config = ConfigDict(strict=True)

    segment: tuple[Finite, Finite]
    label: str


class _Video(BaseModel):
    model_config = ConfigDict(strict=True)

    subset: str
    duration: Positive
    fps: Positive | None = None
    annotations: list[_Instance] = []

    @model_validator(mode="after")
    def _only_withheld_truth_may_be_absent(self) -> Self:
        if "annotations" not in self.model_fields_set and not self.subset.lower().startswith("test"):
            raise PydanticCustomError("missing", "annotations: Field required")
        return self


_VIDEO = TypeAdapter(_Video)


class _Node(BaseModel):
    model_config = ConfigDict(strict=True)

    nodeId: int
    nodeName: str
    parentId: int | None


class _File(BaseModel):
    model_config = ConfigDict(strict=True)

    database: dict[str, _Video]
    classes: list[str] | None = None
    taxonomy: list[_Node] | None = None


def read_activitynet(stream: IO[bytes] | IO[str], name: str) -> Published:
    """Read `{"database": {video: {subset, duration, [fps], annotations: [{segment, label}]}}, ...}`.

    All spellings in circulation: the classes may be listed as `classes` (GAP), follow from ActivityNet's
    `taxonomy` (its leaves, sorted) or from nothing; videos of a test subset may lack `annotations`; further
    keys (`label_id`, `frame`, `url`, `segment(frames)`, ...) are passed over. Times are seconds; subset names
    and ids stay as the file writes them.

    Args:
        stream: the open file.
        name: what to call the file in messages.
    Raises:
        InputError: the file is not of this format; names the file, the video and the field.
    """
    content = stream.read()
    try:
        return _video_by_video(content, name)
    except (KeyError, msgspec.DecodeError, ValidationError):
        file = _at_once(content, name)
    return _published(file.database.items(), file, name)


def _video_by_video(content: bytes | str, name: str) -> Published:
    """A file that is as it should be; its objects all at once would take a hundred times its size."""
    parts = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    videos = msgspec.json.decode(parts["database"], type=dict[str, msgspec.Raw])
    lists = {key: msgspec.json.decode(parts[key]) for key in ("classes", "taxonomy") if key in parts}
    rest = _File.model_validate({"database": {}, **lists})
    each = ((video_id, _VIDEO.validate_json(bytes(video))) for video_id, video in videos.items())
    return _published(each, rest, name)


def _published(videos: Iterable[tuple[str, _Video]], rest: _File, name: str) -> Published:
    """What a file says of its videos, of which it may hand out one at a time, and of its classes."""
    rows = (
        (
            (video_id, video.subset, video.duration, video.fps),
            [(video_id, *instance.segment, instance.label) for instance in video.annotations],
        )
        for video_id, video in videos
    )
    return Published.of_videos(rows, _labels(rest, name))


def _at_once(content: bytes | str, name: str) -> _File:
    """Any file; raises InputError that names video and field."""
    try:
        return _File.model_validate_json(content)
    except ValidationError as error:
        raise InputError(f"{name}: {first_problem(error, videos_at=('database',))}") from None


def _labels(content: _File, name: str) -> tuple[str, ...] | None:
    if content.classes is not None:
        for index, label in enumerate(content.classes):
            if label in content.classes[:index]:
                raise InputError(f"{name}: classes lists {label!r} twice; list each class once")
        return tuple(content.classes)
    if content.taxonomy is not None:
        parents = {node.parentId for node in content.taxonomy}
        return tuple(sorted({node.nodeName for node in content.taxonomy if node.nodeId not in parents}))
    return None
