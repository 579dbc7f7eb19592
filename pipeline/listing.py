"""Finding files: what lies below a folder, links followed, and what a pattern matches. An error ends a listing.

A listing that leaves out what it could not read would make a job believe that files are gone.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate

from pipeline import long_listing

# What an atomic write leaves where its process is killed; never anybody's data.
PARTIAL_SUFFIX = ".partial"
# A version that names the content, as opposed to the moment at which it was written.
ETAG = r"(W/)?[0-9a-f]{32}(-[0-9]+)?"
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file in a filesystem.

    Attributes:
        path: its path there.
        size: bytes; 0 for a link that leads nowhere.
        version: what changes when the file does: an etag, a generation, or the time of its last change; None where
            the storage tells none.
    """

    path: str
    size: int
    version: str | None


def walk(fs: fsspec.AbstractFileSystem, folder: str, depth: int | None = None) -> Iterator[FoundFile]:
    """Every file at most `depth` levels below a folder, in no order; partial writes are passed over.

    Local links are followed, but not round in circles; one that leads nowhere is a file of no bytes.

    Raises FileNotFoundError where there is no such folder, OSError where some folder below cannot be listed.
    """
    found = _walk_local(folder, depth) if isinstance(fs, LocalFileSystem) else _walk_remote(fs, folder, depth)
    return (file for file in found if not file.path.endswith(PARTIAL_SUFFIX))


def match(fs: fsspec.AbstractFileSystem, pattern: str) -> Iterator[FoundFile]:
    """The files whose path matches a pattern with `*`, `?`, `[...]` or `**`; raises what `walk` raises.

    Leading folders that exist as they are written stand for themselves. In what follows, brackets are themselves where
    a file is called so (`[2019]*/x.mp4`), and only otherwise a choice of characters.
    """
    fixed = fixed_parts(fs, pattern)
    parts = pattern.split("/")
    folder = "/".join(parts[:fixed]) or "/"
    depth = None if any("**" in part for part in parts[fixed:]) else len(parts) - fixed
    rest = "/".join(parts[fixed:])
    start = "/".join(_MAGIC.sub(r"[\g<0>]", part) for part in parts[:fixed])
    readings = [
        re.compile(glob_translate(f"{start}/{reading}" if fixed else reading)).match
        for reading in (rest.replace("[", "[[]"), rest)
    ]
    literal, chosen = [], []
    for file in walk(fs, folder, depth):
        if readings[0](file.path):
            literal.append(file)
        elif readings[1](file.path):
            chosen.append(file)
    return iter(literal or chosen)


def fixed_parts(fs: fsspec.AbstractFileSystem, pattern: str) -> int:
    """How many leading folders of a pattern stand for themselves: they have no `*?[`, or exist as they are written."""
    parts = pattern.split("/")
    for index, part in enumerate(parts[:-1]):
        if _MAGIC.search(part) and not fs.isdir("/".join(parts[: index + 1])):
            return index
    return len(parts) - 1


def look_at(fs: fsspec.AbstractFileSystem, path: str) -> FoundFile:
    """One file. Raises FileNotFoundError where there is none, OSError where it cannot be told."""
    if isinstance(fs, LocalFileSystem):
        status = os.stat(path)
        return FoundFile(path, status.st_size, _local_version(status))
    info = fs.info(path)
    return FoundFile(path, int(info.get("size") or 0), _version_of(info))


def _version_of(info: dict[str, Any]) -> str | None:
    """What an fsspec description of a file says of its version."""
    for name in (
        "ETag",
        "etag",
        "generation",
        "content_md5",
        "mtime",
        "LastModified",
        "last_modified",
        "updated",
    ):
        if info.get(name) is not None:
            return str(info[name]).strip('"')
    return None


def _walk_local(folder: str, depth: int | None) -> Iterator[FoundFile]:
    status = os.stat(folder)
    if not stat.S_ISDIR(status.st_mode):
        yield FoundFile(folder, status.st_size, _local_version(status))
        return
    waiting = [(folder, frozenset({(status.st_dev, status.st_ino)}), 1)]
    while waiting:
        path, above, level = waiting.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except OSError:
                    if entry.is_symlink():
                        yield FoundFile(entry.path, 0, None)
                    elif os.path.lexists(entry.path):
                        raise
                    continue  # removed since the folder was opened
                if stat.S_ISREG(status.st_mode):
                    yield FoundFile(entry.path, status.st_size, _local_version(status))
                elif stat.S_ISDIR(status.st_mode) and level != depth:
                    inode = (status.st_dev, status.st_ino)
                    if inode not in above:
                        waiting.append((entry.path, above | {inode}, level + 1))


def _local_version(status: os.stat_result) -> str:
    return str(status.st_mtime_ns)


def _walk_remote(fs: fsspec.AbstractFileSystem, folder: str, depth: int | None) -> Iterator[FoundFile]:
    if depth is None and long_listing.is_s3(fs):
        empty = True
        for info in long_listing.keys_below(fs, folder):
            empty = False
            if not info["Key"].endswith("/"):
                yield FoundFile(info["Key"], info["Size"], _version_of(info))
        if not empty or "/" not in folder:
            return
        try:
            found = {folder: fs.info(folder)}  # a file, if anything
        except FileNotFoundError:
            return
    else:
        # With a depth, fsspec walks folder by folder and by default passes over those that it cannot list.
        options = {} if depth is None else {"maxdepth": depth, "on_error": "raise"}
        found = fs.find(folder, detail=True, **options)
    for path, info in found.items():
        if info["type"] == "file" and not path.endswith("/"):
            yield FoundFile(path, int(info.get("size") or 0), _version_of(info))
