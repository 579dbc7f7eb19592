"""Toyota Smarthome Untrimmed: the layout of Charades' JSON, counted in frames."""

from typing import IO

from pipeline.annotations.actions_json import read_actions_json
from pipeline.annotations.published import Published

TSU_FPS = 20.0  # what its videos have


def read_tsu(stream: IO[bytes] | IO[str], name: str, fps: float) -> Published:
    """Read `{video: {subset, duration (frames), actions: [[label, first frame, last frame]]}}`, labels from 0.

    Args:
        stream: the open file.
        name: what to call the file in messages.
        fps: frames per second that turn frames into seconds. The file does not say it; what matters is that
            the features' timeline has the same, since snippets are counted in frames, too.
    Raises:
        InputError: the file is not of this format; names the file, the video and the field.
    """
    return read_actions_json(stream, name, fps=fps)
