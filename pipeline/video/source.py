"""From the URL of a video to what the decoder reads from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from pipeline import storage
from pipeline.errors import InputError
from pipeline.failures import FailureKind
from pipeline.video.errors import VideoError


@contextmanager
def open_source(uri: str) -> Iterator[str | BinaryIO]:
    """The path of a local video, which FFmpeg reads by itself, or a seekable stream of a remote one.

    Raises VideoError of kind `unreadable` where the file cannot be opened.
    """
    path = storage.local_path(uri)
    if path is not None:
        yield path
        return
    try:
        stream = storage.open_read(uri)
        opened = stream.__enter__()
    except InputError as error:
        raise VideoError(FailureKind.UNREADABLE, str(error)) from error
    with opened:
        yield opened
