"""URLs become filesystems here, and nothing else in raytad opens files.

A URL is a local path, `file://`, `s3://` (s3fs; credentials, region and `AWS_ENDPOINT_URL` from the environment),
`gs://` (gcsfs, the `gcs` extra) or anything else that fsspec knows. Local results are absolute paths without a scheme.
"""

import os
import posixpath
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import fsspec
import pyarrow.fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import InputError

_EXTRAS = {"gs": "gcs", "gcs": "gcs"}
# Listings change under a running job (other workers write), so none may come from a cache; and s3fs's own read-ahead
# of 50 MiB would fetch far more than the headers, footers and row groups that are read here.
_S3_OPTIONS = {"use_listings_cache": False, "default_block_size": 5 * 2**20}
_OPTIONS = {"s3": _S3_OPTIONS, "s3a": _S3_OPTIONS}


@dataclass(frozen=True)
class StoredFile:
    """A file found by `list_files`: its full URL and size in bytes."""

    url: str
    size: int


def resolve(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The filesystem of a URL and the path inside it.

    Raises InputError for an unknown scheme or one whose package is not installed.
    """
    scheme = url.split("://", 1)[0] if "://" in url else "file"
    if scheme == "file":
        path = os.path.abspath(os.path.expanduser(url.removeprefix("file://")))
        return LocalFileSystem(auto_mkdir=True), path
    try:
        return fsspec.core.url_to_fs(url, **_OPTIONS.get(scheme, {}))
    except ImportError as error:
        extra = f"raytad[{_EXTRAS[scheme]}]" if scheme in _EXTRAS else f"fsspec's package for {scheme}://"
        raise InputError(f"{url}: {scheme}:// needs {extra}, which is not installed ({error})") from error
    except ValueError as error:
        raise InputError(f"{url}: unknown kind of URL; use a local path, s3:// or gs://") from error


def absolute(url: str) -> str:
    """The URL in the one form that means the same in every process: local paths absolute, no trailing slash."""
    fs, path = resolve(url)
    return _url_of(fs, path.rstrip("/") or "/")


def join(url: str, *parts: str) -> str:
    """`url` with path parts appended."""
    return posixpath.join(url.rstrip("/") or "/", *parts)


def exists(url: str) -> bool:
    """Whether a file or folder is there. Raises InputError where the storage cannot be reached."""
    fs, path = resolve(url)
    with _naming(url):
        return bool(fs.exists(path))


def is_folder(url: str) -> bool:
    """Whether `url` is a folder, or a prefix with objects under it."""
    fs, path = resolve(url)
    with _naming(url):
        return bool(fs.isdir(path))


def list_files(url: str) -> list[StoredFile]:
    """Every file below a folder, recursively and sorted by URL; nothing where the folder does not exist."""
    fs, path = resolve(url)
    with _naming(url):
        try:
            found = fs.find(path, detail=True)
        except FileNotFoundError:
            return []
    files = [
        StoredFile(_url_of(fs, name), int(info.get("size") or 0))
        for name, info in found.items()
        if info["type"] == "file" and not name.endswith("/")
    ]
    return sorted(files, key=lambda file: file.url)


def glob_files(pattern: str) -> list[str]:
    """URLs of the files that match a pattern with `*`, `?`, `[...]` or `**`, sorted."""
    fs, path = resolve(pattern)
    with _naming(pattern):
        found = fs.glob(path, detail=True)
    return sorted(_url_of(fs, name) for name, info in found.items() if info["type"] == "file")


@contextmanager
def open_read(url: str) -> Iterator[BinaryIO]:
    """A seekable binary stream. Raises InputError naming the URL where it cannot be opened."""
    fs, path = resolve(url)
    with _naming(url):
        stream = fs.open(path, "rb")
    with stream:
        yield stream


def read_bytes(url: str) -> bytes:
    """The whole file. Raises InputError naming the URL where it cannot be read."""
    with open_read(url) as stream:
        return stream.read()


@contextmanager
def replace_atomically(url: str) -> Iterator[BinaryIO]:
    """A binary stream whose content takes the place of `url` when the block ends, and never if it raises.

    A reader sees the old file or the new one, whole. Local files are written beside and renamed; object stores
    publish an object only when its upload completes.
    """
    fs, path = resolve(url)
    if isinstance(fs, LocalFileSystem):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        partial = f"{path}.{uuid.uuid4().hex}.partial"
        try:
            with open(partial, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, path)
        finally:
            if os.path.exists(partial):
                os.remove(partial)
        return
    with _naming(url):
        stream = fs.open(path, "wb")
        try:
            yield stream
        except BaseException:
            stream.discard()
            stream.closed = True  # or the finaliser would try to upload what was discarded
            raise
        stream.close()


def write_bytes(url: str, content: bytes) -> None:
    """Replace a file atomically."""
    with replace_atomically(url) as stream:
        stream.write(content)


def remove(url: str) -> None:
    """Delete a file or a whole folder; nothing happens where there is none."""
    fs, path = resolve(url)
    with _naming(url):
        if fs.exists(path):
            fs.rm(path, recursive=True)


def local_path(url: str) -> str | None:
    """The plain path of a local URL, or None for object storage."""
    fs, path = resolve(url)
    return path if isinstance(fs, LocalFileSystem) else None


def arrow_filesystem(url: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """The same place as pyarrow sees it: a filesystem and the path inside it."""
    fs, path = resolve(url)
    if isinstance(fs, LocalFileSystem):
        return pyarrow.fs.LocalFileSystem(), path
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fs)), path


def _url_of(fs: fsspec.AbstractFileSystem, path: str) -> str:
    if isinstance(fs, LocalFileSystem):
        return path
    return str(fs.unstrip_protocol(path))


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Storage errors become one line with the URL in it; errors of the caller's block pass through."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{url}: not found") from error
    except PermissionError as error:
        raise InputError(f"{url}: permission denied; check the credentials ({_first_line(error)})") from error
    except OSError as error:
        raise InputError(f"{url}: cannot be read or written ({_first_line(error)})") from error
    except Exception as error:
        # botocore's errors share no base with OSError and must not be imported here.
        if type(error).__module__.startswith(("botocore", "aiobotocore", "gcsfs", "google")):
            raise InputError(f"{url}: {_first_line(error)}; check endpoint and credentials") from error
        raise


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0]
