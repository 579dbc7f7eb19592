"""Object storage as pyarrow and Ray see it: requests that are not answered are made again, and files appear whole."""

import io
from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeVar

import fsspec
import pyarrow as pa
from pyarrow.fs import FSSpecHandler

from pipeline.outages import be_patient, persist
from pipeline.uploads import upload

Result = TypeVar("Result")

_UPLOAD_MEMORY = 32 * 2**20


class PatientHandler(FSSpecHandler):
    """fsspec's filesystem for pyarrow, in whichever process Ray uses it: it has answered the driver already."""

    def __init__(self, fs: fsspec.AbstractFileSystem, place: str) -> None:
        super().__init__(fs)
        self.place = place

    def get_file_info(self, paths: list[str]) -> Any:
        return self._persist(lambda: super(PatientHandler, self).get_file_info(paths))

    def get_file_info_selector(self, selector: Any) -> Any:
        return self._persist(lambda: super(PatientHandler, self).get_file_info_selector(selector))

    def create_dir(self, path: str, recursive: bool) -> None:
        self._persist(lambda: super(PatientHandler, self).create_dir(path, recursive))

    def delete_file(self, path: str) -> None:
        self._persist(lambda: super(PatientHandler, self).delete_file(path))

    def move(self, src: str, dest: str) -> None:
        self._persist(lambda: super(PatientHandler, self).move(src, dest))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        stream = self._persist(lambda: self._open_existing(path))
        return pa.PythonFile(_PatientReader(stream, self._persist), mode="r")

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        return pa.PythonFile(_WholeUpload(self.fs, path, self._persist), mode="w")

    def _open_existing(self, path: str) -> BinaryIO:
        if not self.fs.isfile(path):
            raise FileNotFoundError(path)
        return self.fs.open(path, mode="rb")

    def _persist(self, request: Callable[[], Result]) -> Result:
        be_patient()
        return persist(self.place, request)


class _PatientReader(io.RawIOBase):
    """A stream whose reads are made again; fsspec's files stay where they are when a read fails."""

    def __init__(self, stream: BinaryIO, ask: Callable[[Callable[[], Any]], Any]) -> None:
        self._stream, self._ask = stream, ask

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        return self._ask(lambda: self._stream.read(size))

    def close(self) -> None:
        self._stream.close()
        super().close()


class _WholeUpload(io.RawIOBase):
    """A file that is kept here until it is closed, so that its upload can be made again."""

    def __init__(
        self, fs: fsspec.AbstractFileSystem, path: str, ask: Callable[[Callable[[], Any]], Any]
    ) -> None:
        self._fs, self._path, self._ask = fs, path, ask
        self._content = SpooledTemporaryFile(_UPLOAD_MEMORY)  # noqa: SIM115

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._content.tell()

    def write(self, data: Any) -> int:
        return self._content.write(data)

    def close(self) -> None:
        if not self.closed:
            with self._content:
                self._ask(lambda: upload(self._fs, self._path, self._content))  # type: ignore[arg-type]
        super().close()
