"""Files that appear whole in an object store."""

import shutil
from typing import BinaryIO

import fsspec

_COPY_BYTES = 8 * 2**20


def upload(fs: fsspec.AbstractFileSystem, path: str, content: BinaryIO) -> None:
    """Write a stream, from its start, to a file, which gets it whole or not at all; may be done again."""
    content.seek(0)
    stream = fs.open(path, "wb")
    try:
        shutil.copyfileobj(content, stream, _COPY_BYTES)
        stream.close()
    except BaseException:
        discard = getattr(stream, "discard", None)
        if discard is not None:
            discard()
        stream.closed = True  # or the finaliser would try to upload what was discarded
        raise
