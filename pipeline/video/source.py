"""From the URL of a video to what the decoder reads from."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    with ExitStack() as stack:
        try:
            path = storage.local_path(uri)
            source = stack.enter_context(storage.open_read(uri)) if path is None else path
        except InputError as error:
            raise VideoError(FailureKind.UNREADABLE, str(error)) from error
        yield source
