"""JSON of `actions`: how MultiTHUMOS and Charades circulate among multi-label detectors."""

from typing import IO

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.annotations.malformed import Finite, LabelNumber, Positive, first_problem
from pipeline.annotations.published import Published
from pipeline.errors import InputError


class _Video(BaseModel):
    model_config = ConfigDict(strict=True)

    subset: str
    duration: Positive
    actions: list[tuple[LabelNumber, Finite, Finite]]


_FILE = TypeAdapter(dict[str, _Video])


def read_actions_json(stream: IO[bytes] | IO[str], name: str, *, fps: float | None = None) -> Published:
    """Read `{video: {subset, duration, actions: [[label, start, end]]}}`.

    Labels are numbers, from 1 (MultiTHUMOS) or from 0 (Charades, TSU), and stay the file's own as text; a
    class list gives them names (`pipeline.annotations.class_list`).

    Args:
        stream: the open file.
        name: what to call the file in messages.
        fps: frames per second where durations and times are frames; None where they are seconds.
    Raises:
        InputError: the file is not of this format; names the file, the video and the field.
    """
    try:
        videos = _FILE.validate_json(stream.read())
    except ValidationError as error:
        raise InputError(f"{name}: {first_problem(error)}") from None
    rate = fps or 1.0
    return Published.of_rows(
        [(video_id, video.subset, video.duration / rate, fps) for video_id, video in videos.items()],
        [
            (video_id, start / rate, end / rate, str(label))
            for video_id, video in videos.items()
            for label, start, end in video.actions
        ],
    )
