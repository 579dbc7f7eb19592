"""From the URL of a video to what the decoder reads from."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from fsspec.spec import AbstractBufferedFile

from pipeline import storage
from pipeline.errors import InputError
from pipeline.failures import FailureKind
from pipeline.outages import is_refusal
from pipeline.video.errors import VideoError
from pipeline.video.read_ahead import ReadAhead


@contextmanager
def open_source(uri: str) -> Iterator[str | BinaryIO]:
    """The path of a local video, which FFmpeg reads by itself, or a seekable stream of a remote one.

    Such a stream fetches each byte once, and few that nobody asks for (`ReadAhead`).

    Raises VideoError where the file cannot be opened: UNREADABLE, or STORAGE where what signs its URL is refused.
    """
    with ExitStack() as stack:
        try:
            path = storage.local_path(uri)
            source = path if path is not None else stack.enter_context(_open_remote(uri))
        except InputError as error:
            kind = FailureKind.STORAGE if is_refusal(error) else FailureKind.UNREADABLE
            raise VideoError(kind, str(error)) from error
        yield source


@contextmanager
def _open_remote(uri: str) -> Iterator[BinaryIO]:
    with storage.open_read(uri) as stream:
        if isinstance(stream, AbstractBufferedFile):
            stream.cache = ReadAhead(stream._fetch_range, stream.size)
        yield stream
