"""Projects of VIA 3, the VGG Image Annotator for video: temporal segments in seconds."""

import posixpath
from typing import IO, Any
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from pipeline.annotations.malformed import Finite, first_problem
from pipeline.annotations.published import Published
from pipeline.errors import InputError

# Attributes of a part of a video's time, rather than of a file or of a region of the picture.
_OF_SEGMENTS = "FILE1_Z2_XY0"
_CHECKBOX = 2  # the kind of attribute of which several options may be chosen


class _Attribute(BaseModel):
    aname: str
    anchor_id: str
    type: int = 1
    options: dict[str, Any] = {}


class _File(BaseModel):
    fname: str


class _View(BaseModel):
    fid_list: list[str | int]


class _Metadata(BaseModel):
    vid: str | int
    z: list[Finite] = []
    xy: list[float] = []
    av: dict[str, Any] = {}


class _Project(BaseModel):
    attribute: dict[str, _Attribute]
    file: dict[str, _File]
    view: dict[str, _View]
    metadata: dict[str, _Metadata]


def read_via(stream: IO[bytes] | IO[str], name: str, subset: str) -> Published:
    """Read a project of VIA 3 (`.json`): `{"attribute", "file", "view", "metadata": {id: {vid, z: [start, end], av}}}`.

    A segment's classes are the values of its attributes that belong to segments (`TEMPORAL-SEGMENTS`, as VIA calls
    them): what was written, or the option that was chosen; a segment with several is an instance of each. Regions of
    pictures and moments are left alone. A video's id is the name of its file without suffix.

    Args:
        stream: the open file.
        name: what to call the file in messages.
        subset: of the videos, since VIA knows none.
    Raises:
        InputError: the file is not of this format; names the file, the place and the field.
    """
    try:
        project = _Project.model_validate_json(stream.read())
    except ValidationError as error:
        raise InputError(f"{name}: {first_problem(error, videos_at=None)}; not a project of VIA 3") from None
    ids: dict[str, str] = {}
    for key, view in project.view.items():
        if len(view.fid_list) != 1:
            continue  # several files side by side have no time in common
        file = project.file.get(str(view.fid_list[0]))
        if file is None:
            raise InputError(f"{name}: view {key!r}, fid_list: there is no file {view.fid_list[0]!r}")
        ids[key] = posixpath.splitext(posixpath.basename(unquote(file.fname)))[0]
    for video_id in ids.values():
        if list(ids.values()).count(video_id) > 1:
            raise InputError(f"{name}: two files are called {video_id!r}; rename one")
    attributes = {key: one for key, one in project.attribute.items() if one.anchor_id == _OF_SEGMENTS}
    instances = []
    for metadata in project.metadata.values():
        video = ids.get(str(metadata.vid))
        if len(metadata.z) != 2 or metadata.xy or video is None:
            continue
        labels = [
            label
            for attribute, value in metadata.av.items()
            if attribute in attributes
            for label in _labels(attributes[attribute], str(value))
        ]
        start, end = metadata.z
        instances += [(video, start, end, label) for label in labels]
    return Published.of_rows(((video_id, subset, None, None) for video_id in ids.values()), instances)


def _labels(attribute: _Attribute, value: str) -> list[str]:
    """What a value says: an option, or itself; the rows that a person adds to VIA's timeline are no options."""
    chosen = value.split(",") if attribute.type == _CHECKBOX else [value]
    return [str(attribute.options.get(one, one)) for one in chosen if one.strip()]
