"""ActivityNet-style JSON: the format of ActivityNet itself, and of most THUMOS14 files in circulation."""

import logging
from collections.abc import Collection
from typing import IO, Annotated, Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.annotations.canonical import INSTANCES_SCHEMA, VIDEOS_SCHEMA, Annotations
from pipeline.annotations.defects import mend
from pipeline.errors import InputError

logger = logging.getLogger(__name__)

# Problems whose message needs no "not <the value>" after it.
_SELF_EXPLAINING = {"missing", "json_invalid", "too_short", "too_long"}

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Instance(BaseModel):
    model_config = ConfigDict(strict=True)

    segment: tuple[Finite, Finite]
    label: str


class _Video(BaseModel):
    model_config = ConfigDict(strict=True)

    subset: str
    duration: Positive
    fps: Positive | None = None
    annotations: list[_Instance]


class _File(BaseModel):
    model_config = ConfigDict(strict=True)

    database: dict[str, _Video]
    classes: list[str] | None = None


def read_activitynet(
    stream: IO[bytes] | IO[str],
    name: str,
    *,
    raw: bool = False,
    ignored_labels: Collection[str] = ("Ambiguous",),
) -> Annotations:
    """Read `{"database": {video: {subset, duration, [fps], annotations: [{segment, label}]}}, ["classes"]}`.

    Times are seconds. The labels are `classes` in the file's order, or else the sorted labels that occur;
    subset names stay as the file writes them. One log line counts what was read and what the rules of
    `pipeline.annotations.defects` did.

    Args:
        stream: the open file.
        name: what to call the file in messages.
        raw: keep every defect as written, for protocols whose published figures count them.
        ignored_labels: instances with these labels are left out, raw or not.
    Raises:
        InputError: the file is not of this format; names the file, the video and the field.
    """
    try:
        content = _File.model_validate_json(stream.read())
    except ValidationError as error:
        raise InputError(f"{name}: {_first_problem(error)}") from None

    videos = pa.Table.from_pylist(
        [
            {"video_id": video_id, "subset": video.subset, "duration": video.duration, "fps": video.fps}
            for video_id, video in content.database.items()
        ],
        schema=VIDEOS_SCHEMA,
    )
    written = [(video_id, a) for video_id, video in content.database.items() for a in video.annotations]
    used = [(video_id, a) for video_id, a in written if a.label not in ignored_labels]
    instances = pa.Table.from_pylist(
        [
            {"video_id": video_id, "t_start": a.segment[0], "t_end": a.segment[1], "label": a.label}
            for video_id, a in used
        ],
        schema=INSTANCES_SCHEMA,
    )
    labels = _labels(content.classes, used, name)
    rules = "defects kept as written"
    if not raw:
        instances, defects = mend(videos, instances)
        rules = str(defects)
    annotations = Annotations(videos, instances, labels)
    ignored = len(written) - len(used)
    logger.info(
        "%s: %s (of %d instances, %d ignored by label; %s)", name, annotations, len(written), ignored, rules
    )
    return annotations


def _labels(classes: list[str] | None, used: list[tuple[str, _Instance]], name: str) -> tuple[str, ...]:
    if classes is None:
        return tuple(sorted({instance.label for _, instance in used}))
    known = set(classes)
    if len(known) < len(classes):
        repeated = next(label for index, label in enumerate(classes) if label in classes[:index])
        raise InputError(f"{name}: classes lists {repeated!r} twice; list each class once")
    for video_id, instance in used:
        if instance.label not in known:
            raise InputError(
                f"{name}: video {video_id!r} has label {instance.label!r}; add it to the file's classes"
            )
    return tuple(classes)


def _first_problem(error: ValidationError) -> str:
    """One line from pydantic's report: `video 'x', annotations[3].segment[1]: Input should be ...`."""
    problem = error.errors(include_url=False)[0]
    location = list(problem["loc"])
    where = ""
    if location[:1] == ["database"] and len(location) > 1:
        where, location = f"video {location[1]!r}", location[2:]
    field = _dotted(location)
    place = ", ".join(part for part in (where, field) if part)
    given = "" if problem["type"] in _SELF_EXPLAINING else f", not {_short(problem['input'])}"
    return f"{place}: {problem['msg']}{given}" if place else f"{problem['msg']}{given}"


def _dotted(location: list[int | str]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
