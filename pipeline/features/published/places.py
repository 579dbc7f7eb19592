"""Where a published array lies, and opening it there."""

import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from pipeline import storage
from pipeline.features.published.archives import is_compressed_tar, is_zip
from pipeline.features.published.arrays import ArrayFile, open_arrays, readable


@dataclass(frozen=True)
class Place:
    """Where the features of one video lie.

    Attributes:
        url: a file of arrays, or an archive of such files.
        member: path of the file in the archive.
        entry: name of the video's array or group in a file of many videos.
        start: of a plain tar's member, the byte at which it starts.
        size: of a plain tar's member, its bytes.
    """

    url: str
    member: str | None = None
    entry: str | None = None
    start: int | None = None
    size: int | None = None

    def __str__(self) -> str:
        return "::".join(part for part in (self.url, self.member, self.entry) if part)

    @property
    def suffix(self) -> str:
        """What the name of the array file ends with, in lower case."""
        return PurePosixPath(self.member or self.url).suffix.lower()

    @property
    def streamed(self) -> bool:
        """Whether it can only be met by walking its archive from the start."""
        return is_compressed_tar(self.url)


class PlaceReader:
    """Opens one place after the other, keeping the last file open for those that share it."""

    def __init__(self) -> None:
        self._file = ExitStack()
        self._member = ExitStack()
        self._url: str | None = None
        self._stream: BinaryIO | None = None
        self._archive: zipfile.ZipFile | None = None
        self._opened: tuple[tuple[str, str | None], ArrayFile] | None = None

    def __enter__(self) -> "PlaceReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, place: Place) -> ArrayFile:
        """The array file of a place that is not `streamed`, usable until the next call.

        Raises FeatureFileError where it is missing or damaged.
        """
        key = (place.url, place.member)
        if place.entry is not None and self._opened is not None and self._opened[0] == key:
            return self._opened[1]
        self._opened = None
        self._member.close()
        with readable(place.suffix):
            stream = self._open_url(place.url)
            if place.member is None:
                size = stream.seek(0, 2)
                stream.seek(0)
                opened = open_arrays(stream, size, place.suffix, seekable=True)
            else:
                member, size = self._open_member(stream, place)
                opened = open_arrays(member, size, place.suffix, seekable=False)
        self._opened = (key, opened)
        return opened

    def _open_url(self, url: str) -> BinaryIO:
        if url != self._url or self._stream is None:
            self.close()
            self._stream = self._file.enter_context(storage.open_read(url))
            if is_zip(url):
                self._archive = self._file.enter_context(zipfile.ZipFile(self._stream))
            self._url = url
        return self._stream

    def _open_member(self, stream: BinaryIO, place: Place) -> tuple[BinaryIO, int]:
        assert place.member is not None
        if self._archive is not None:
            info = self._archive.getinfo(place.member)
            return self._member.enter_context(self._archive.open(info)), info.file_size  # type: ignore[return-value]
        assert place.start is not None
        assert place.size is not None
        stream.seek(place.start)
        return stream, place.size

    def close(self) -> None:
        """Close the open file; the reader can be used again."""
        self._opened = self._url = self._stream = self._archive = None
        self._member.close()
        self._file.close()
