"""Archives of feature files, read in place: nothing is unpacked.

Zip archives and plain tars give any member by itself, so many tasks read one archive at once. A compressed tar can only
be read from its start, so one task walks it.
"""

import lzma
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from pipeline import storage
from pipeline.errors import InputError
from pipeline.outages import OutageError, first_line, is_outage

COMPRESSED_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVES = (".zip", ".tar", *COMPRESSED_TARS)

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError)


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path there and, in a tar, its size in bytes and the byte at which it starts."""

    path: str
    size: int | None = None
    start: int | None = None


def is_archive(url: str) -> bool:
    """Whether the name says that this is an archive."""
    return url.lower().endswith(ARCHIVES)


def is_zip(url: str) -> bool:
    """Whether this is a zip archive."""
    return url.lower().endswith(".zip")


def is_compressed_tar(url: str) -> bool:
    """Whether this is an archive that can only be read from its start."""
    return url.lower().endswith(COMPRESSED_TARS)


def list_members(url: str) -> list[Member]:
    """The files of a zip archive or a plain tar. Raises InputError where it is damaged or cut short."""
    with storage.open_read(url) as stream, _named(url):
        if is_zip(url):
            with zipfile.ZipFile(stream) as archive:
                return [Member(i.filename) for i in archive.infolist() if not i.is_dir()]
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            members = [Member(_normal(i.name), i.size, i.offset_data) for i in archive if i.isreg()]
            stream.seek(archive.offset)
            if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it has no end mark")  # tarfile itself takes any end for the end
            return members


def walk_compressed_tar(url: str) -> Iterator[tuple[str, int, BinaryIO]]:
    """The files of a compressed tar in their order: path, bytes, and a stream that lasts until the next is asked for.

    Raises InputError where the archive is damaged or cut short, when that place is reached.
    """
    with storage.open_read(url) as stream, _named(url), tarfile.open(fileobj=stream, mode="r|*") as archive:
        for info in archive:
            content = archive.extractfile(info) if info.isreg() else None
            if content is not None:
                yield _normal(info.name), info.size, content  # type: ignore[misc]


def _normal(path: str) -> str:
    return posixpath.normpath(path)


@contextmanager
def _named(url: str) -> Iterator[None]:
    try:
        yield
    except (InputError, OutageError):
        raise
    except _DAMAGE as error:
        if is_outage(error):
            raise OutageError(first_line(error)) from error
        text = str(error) or type(error).__name__
        raise InputError(f"{url}: the archive is damaged or cut short ({text}); fetch it again") from error
