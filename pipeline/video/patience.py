"""Asking the sandbox about a file whose storage may be away: an outage is no fact about the file."""

from typing import Any

from pipeline import storage
from pipeline.failures import FailureKind
from pipeline.outages import OutageError, persist
from pipeline.video.errors import VideoError
from pipeline.video.sandbox import Sandbox


def ask_patiently(process: Sandbox, uri: str, request: Any, size: int = 0) -> tuple[Any, memoryview]:
    """`process.call(request, size)`, made again while the storage of `uri` does not answer, and once after a crash.

    Raises:
        VideoError: what `call` raises; of kind STORAGE where the storage answers, but not for this file.
        OutageError: the storage as a whole stays away.
    """
    try:
        return persist(storage.place_of(uri), lambda: process.call(request, size, tries=2), nested=True)
    except OutageError as error:
        if storage.answers(uri):
            raise VideoError(FailureKind.STORAGE, str(error)) from error
        raise
    except OSError as error:
        raise VideoError(FailureKind.UNREADABLE, str(error)) from error
