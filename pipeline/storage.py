"""URLs become filesystems here, and nothing else in raytad opens files.

A URL is a local path, `file://`, `s3://` (s3fs; credentials, region and `AWS_ENDPOINT_URL` from the environment),
`gs://` (gcsfs, the `gcs` extra) or anything else that fsspec knows, chains such as `zip://a.mp4::s3://bucket/x.zip`
included. Local results are absolute paths without a scheme. Bytes of a local name that are not UTF-8 are written
`\\xe9`, so that the name fits tables and still opens the file.

A request that storage does not answer is made again (`pipeline.outages`).
"""

import errno
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit, urlunsplit

import fsspec
import pyarrow.fs
from fsspec.implementations.local import LocalFileSystem

from pipeline import listing, local_files
from pipeline.arrow_files import PatientHandler
from pipeline.errors import InputError
from pipeline.outages import OutageError, first_line, is_outage, is_refusal, persist
from pipeline.uploads import upload

Result = TypeVar("Result")

_EXTRAS = {"gs": "gcs", "gcs": "gcs"}
# Listings change under a running job (other workers write), so none may come from a cache; and s3fs's own read-ahead
# of 50 MiB would fetch far more than the headers, footers and row groups that are read here.
# Waiting is `pipeline.outages`' business, so botocore itself tries twice, unless AWS_MAX_ATTEMPTS says otherwise.
_S3_OPTIONS = {
    "use_listings_cache": False,
    "default_block_size": 5 * 2**20,
    "config_kwargs": {}
    if "AWS_MAX_ATTEMPTS" in os.environ
    else {"retries": {"mode": "standard", "total_max_attempts": 2}},
}
_OPTIONS = {"s3": _S3_OPTIONS, "s3a": _S3_OPTIONS}
_CLIENTS = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google")
_UPLOAD_MEMORY = 32 * 2**20
# Of errors in a block that writes, these are the storage's and not the caller's.
_WRITE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.ESTALE})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file found by `list_files`: its full URL, size in bytes, and version (an etag or a time) where there is one."""

    url: str
    size: int
    version: str | None = None


def resolve(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The filesystem of a URL and the path inside it.

    Raises InputError for an unknown scheme or one whose package is not installed.
    """
    scheme = url.split("://", 1)[0] if "://" in url else "file"
    if scheme == "file":
        path = os.path.abspath(os.path.expanduser(url.removeprefix("file://")))
        return LocalFileSystem(auto_mkdir=True), local_files.from_text(path)
    try:
        return fsspec.core.url_to_fs(url, **_OPTIONS.get(scheme, {}))
    except ImportError as error:
        extra = f"raytad[{_EXTRAS[scheme]}]" if scheme in _EXTRAS else f"fsspec's package for {scheme}://"
        raise InputError(f"{url}: {scheme}:// needs {extra}, which is not installed ({error})") from error
    except ValueError as error:
        raise InputError(f"{url}: unknown kind of URL; use a local path, s3:// or gs://") from error


def absolute(url: str) -> str:
    """The URL in the one form that means the same in every process: local paths absolute, no trailing slash."""
    first, chain, target = url.partition("::")
    if chain:
        return f"{first.rstrip('/')}::{absolute(target)}"
    fs, path = resolve(url)
    return _url_of(fs, path.rstrip("/") or "/", url)


def join(url: str, *parts: str) -> str:
    """`url` with path parts appended."""
    first, chain, target = url.partition("::")
    return posixpath.join(first.rstrip("/") or "/", *parts) + chain + target


def parent(url: str) -> str:
    """The folder that holds the file or folder at `url`."""
    first, chain, target = url.partition("::")
    return posixpath.dirname(first.rstrip("/")) + chain + target


def without_secrets(url: str) -> str:
    """The URL as it may be stored and shown: what signs a request (an HTTP URL's query, user, password) left out."""

    def bare(link: str) -> str:
        if not re.match(r"https?://", link, re.IGNORECASE):
            return link
        parts = urlsplit(link)
        return urlunsplit((parts.scheme, parts.netloc.rsplit("@", 1)[-1], parts.path, "", ""))

    return "::".join(bare(link) for link in url.split("::"))


def exists(url: str) -> bool:
    """Whether a file or folder is there. Raises InputError where the storage cannot tell."""
    return _info(url) is not None


def is_folder(url: str) -> bool:
    """Whether `url` is a folder, or a prefix with objects under it. Raises InputError where the storage cannot tell."""
    info = _info(url)
    return info is not None and info["type"] == "directory"


def stat(url: str) -> StoredFile | None:
    """Size and version of one file; None where there is none. Raises InputError where the storage cannot tell."""
    fs, path = resolve(url)

    def look() -> StoredFile | None:
        try:
            found = listing.look_at(fs, path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if is_outage(error):
                raise
            return None
        return StoredFile(url, found.size, found.version)

    return _ask(url, look)


def list_files(url: str, depth: int | None = None) -> list[StoredFile]:
    """Every file below a folder, at most `depth` levels, sorted by URL; nothing where the folder does not exist.

    Local links are followed. What a killed write has left is not listed. Raises InputError, naming the folder, where
    one cannot be listed.
    """
    fs, path = resolve(url)

    def listed() -> list[StoredFile]:
        try:
            return _stored(fs, listing.walk(fs, path, depth), url)
        except FileNotFoundError:
            return []

    return _ask(url, listed)


def glob_files(pattern: str) -> list[StoredFile]:
    """The files that match a pattern (`listing.match`), sorted by URL; raises as `list_files` does."""
    fs, path = resolve(pattern)

    def matched() -> list[StoredFile]:
        try:
            return _stored(fs, listing.match(fs, path), pattern)
        except FileNotFoundError:
            return []

    return _ask(pattern, matched)


@contextmanager
def open_read(url: str) -> Iterator[BinaryIO]:
    """A seekable binary stream. Raises InputError naming the URL where it cannot be opened."""
    fs, path = resolve(url)
    stream = _ask(url, lambda: fs.open(path, "rb"))
    with stream:
        yield stream


def read_bytes(url: str) -> bytes:
    """The whole file. Raises InputError naming the URL where it cannot be read."""
    fs, path = resolve(url)
    return _ask(url, lambda: fs.cat_file(path))


def read_with(url: str, read: Callable[[BinaryIO], Result]) -> Result:
    """What `read` makes of a seekable binary stream of the file; begun anew where the storage stops answering.

    The stream fetches just what it is asked for.

    Raises InputError naming the URL where the file cannot be read, and whatever `read` raises.
    """
    fs, path = resolve(url)
    options = {} if isinstance(fs, LocalFileSystem) else {"cache_type": "none"}

    def whole() -> Result:
        with fs.open(path, "rb", **options) as stream:
            return read(stream)

    return _ask(url, whole)


@contextmanager
def replace_atomically(url: str) -> Iterator[BinaryIO]:
    """A binary stream whose content takes the place of `url` when the block ends, and never if it raises.

    A reader sees the old file or the new one, whole. Local files are written beside and renamed; to object stores the
    content goes when the block has ended, again where the storage did not answer.

    Raises InputError naming the URL where it cannot be written.
    """
    fs, path = resolve(url)
    if isinstance(fs, LocalFileSystem):
        with _replacing_locally(url, path) as stream:
            yield stream
        return
    with SpooledTemporaryFile(_UPLOAD_MEMORY) as content:
        yield content  # type: ignore[misc]
        _ask(url, lambda: upload(fs, path, content))  # type: ignore[arg-type]


def write_bytes(url: str, content: bytes) -> None:
    """Replace a file atomically."""
    with replace_atomically(url) as stream:
        stream.write(content)


def create_exclusively(url: str, content: bytes) -> bool:
    """Write a file where there is none; False where there is one, which stays as it is. Of several, one succeeds.

    A reader sees it whole or not at all. Where an object store knows no conditional writes, two that come within the
    same moment may both succeed.
    """
    fs, path = resolve(url)
    if isinstance(fs, LocalFileSystem):
        with _naming(url):
            return local_files.create(path, content)

    def create() -> bool:
        try:
            fs.pipe_file(path, content, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            code = (getattr(error.__cause__, "response", None) or {}).get("Error", {}).get("Code")
            if code in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
                return False
            raise
        return True

    # A lost answer to a request that succeeded looks like a file that was there.
    return _ask(url, create) or _ask(url, lambda: fs.cat_file(path)) == content


def remove(url: str) -> None:
    """Delete a file or a whole folder; nothing happens where there is none.

    Raises InputError where something is still there afterwards.
    """
    fs, path = resolve(url)

    def delete() -> None:
        if isinstance(fs, LocalFileSystem) and os.path.islink(path):
            os.unlink(path)  # never what it leads to
            return
        try:
            fs.rm(path, recursive=True)
        except (FileNotFoundError, NotADirectoryError):
            return
        # s3fs passes over what the server refused to delete.
        if not isinstance(fs, LocalFileSystem) and any(listing.walk(fs, path)):
            raise PermissionError("the storage did not delete it")

    _ask(url, delete)


def remove_partial(url: str) -> None:
    """Delete what killed writes have left below a folder; only its one writer may."""
    fs, path = resolve(url)
    if isinstance(fs, LocalFileSystem):
        with _naming(url):
            local_files.remove_partial(path)


def local_path(url: str) -> str | None:
    """The plain path of a local URL, or None for object storage."""
    fs, path = resolve(url)
    return path if isinstance(fs, LocalFileSystem) else None


def arrow_filesystem(url: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """The same place as pyarrow sees it: a filesystem and the path inside it."""
    fs, path = resolve(url)
    if isinstance(fs, LocalFileSystem):
        return pyarrow.fs.LocalFileSystem(), path
    return pyarrow.fs.PyFileSystem(PatientHandler(fs, place_of(url))), path


def place_of(url: str) -> str:
    """The storage that a URL is on, as far as it can be away by itself: `s3://bucket`, `https://host`, `file://`."""
    target = url.rsplit("::", 1)[-1]
    if "://" not in target:
        return "file://"
    parts = urlsplit(target)
    return f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}"


def answers(url: str) -> bool:
    """Whether the storage that a URL is on answers at all, be it with a refusal."""
    fs, path = resolve(place_of(url))
    try:
        fs.info(path)
    except Exception as error:
        return not is_outage(error)
    return True


def _info(url: str) -> dict[str, Any] | None:
    fs, path = resolve(url)

    def look() -> dict[str, Any] | None:
        try:
            return fs.info(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if is_outage(error):
                raise
            return None

    return _ask(url, look)


def _stored(
    fs: fsspec.AbstractFileSystem, found: Iterable[listing.FoundFile], asked: str
) -> list[StoredFile]:
    files = (StoredFile(_url_of(fs, file.path, asked), file.size, file.version) for file in found)
    return sorted(files, key=lambda file: file.url)


def _url_of(fs: fsspec.AbstractFileSystem, path: str, asked: str) -> str:
    """The URL of a path in the filesystem of the URL that was `asked` for."""
    if isinstance(fs, LocalFileSystem):
        return local_files.as_text(path)
    first, chain, target = asked.partition("::")
    if not chain:
        return str(fs.unstrip_protocol(path))
    scheme, written, _ = first.partition("://")
    if not written:  # a link such as simplecache, whose paths are its target's
        return f"{first}::{target.split('://', 1)[0]}://{path.lstrip('/')}"
    return f"{scheme}://{path.lstrip('/')}::{absolute(target)}"


@contextmanager
def _replacing_locally(url: str, path: str) -> Iterator[BinaryIO]:
    with ExitStack() as stack:
        with _naming(url):
            stream, partial = stack.enter_context(local_files.written_beside(path))
        try:
            yield stream
            local_files.make_durable(stream)
        except OSError as error:
            if error.errno not in _WRITE_ERRNOS:
                raise
            with _naming(url):
                raise
        with _naming(url):
            os.replace(partial, path)


def _ask(url: str, request: Callable[[], Result]) -> Result:
    with _naming(url):
        return persist(place_of(url), request)


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Storage errors become one line with the URL in it; errors of other kinds pass through."""
    shown = without_secrets(url)
    try:
        yield
    except (InputError, OutageError):
        raise
    except FileNotFoundError as error:
        if is_refusal(error):
            raise InputError(f"{shown}: refused; check what signs the URL, or the credentials") from error
        if is_outage(error):
            raise InputError(f"{shown}: does not answer; check the address") from error
        raise InputError(f"{shown}: not found") from error
    except PermissionError as error:
        where = error.filename if isinstance(error.filename, str) else shown
        raise InputError(
            f"{where}: permission denied; check the credentials ({first_line(error)})"
        ) from error
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else shown
        raise InputError(f"{where}: cannot be read or written ({first_line(error)})") from error
    except Exception as error:
        # These errors share no base with OSError, and their packages need not be there.
        if is_outage(error) or type(error).__module__.startswith(
            ("botocore", "aiobotocore", "gcsfs", "google")
        ):
            raise InputError(f"{shown}: {first_line(error)}; check endpoint and credentials") from error
        raise
