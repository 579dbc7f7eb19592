"""Local files that appear whole: written beside, then put in place; and names that are not UTF-8."""

import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from pipeline.listing import PARTIAL_SUFFIX


@contextmanager
def written_beside(path: str) -> Iterator[tuple[BinaryIO, str]]:
    """A stream to a new file beside `path`, durable after the block, and its path; gone if it is not put in place."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = f"{path}.{uuid.uuid4().hex}{PARTIAL_SUFFIX}"
    try:
        with open(partial, "wb") as stream:
            yield stream, partial
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def make_durable(stream: BinaryIO) -> None:
    """Let what was written outlive a power cut."""
    stream.flush()
    os.fsync(stream.fileno())


def create(path: str, content: bytes) -> bool:
    """Write a file where there is none, whole; False where there is one. Raises OSError."""
    with written_beside(path) as (stream, partial):
        stream.write(content)
        make_durable(stream)
        try:
            os.link(partial, path)  # unlike a rename, it fails where there is a file
        except FileExistsError:
            return False
    return True


def remove_partial(folder: str) -> None:
    """Delete what killed writes have left below a folder. Raises OSError."""
    for path, _, names in os.walk(folder):
        for name in names:
            if name.endswith(PARTIAL_SUFFIX):
                os.remove(os.path.join(path, name))


def as_text(path: str) -> str:
    """A local path that fits tables: bytes that are not UTF-8 are written `\\xe9`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def from_text(path: str) -> str:
    """The path that `as_text` wrote; a file that is really called so goes first."""
    if "\\x" not in path or os.path.lexists(path):
        return path
    name = path.encode("utf-8", "surrogateescape")
    return os.fsdecode(re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), name))


def why_not_writable(path: str) -> str | None:
    """Why no file can be made in the folder `path`, or in the nearest one above it that is there; None where it can."""
    folder = path
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"{error.strerror}: {folder}"
