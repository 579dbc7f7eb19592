"""The array files in which features are published, one small reader each; none of them unpickles anything."""

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

import numpy as np

from pipeline.errors import InputError
from pipeline.failures import FailureKind
from pipeline.features.published.errors import FeatureFileError
from pipeline.outages import OutageError, first_line, is_outage
from pipeline.video.sandbox import import_beyond_limit

_SHOWN_NAMES = 3


class ArrayFile(Protocol):
    """An open file of one or more arrays. The array of a file that names none has the name ''."""

    def names(self, below: str) -> list[str]:
        """Names of the arrays called `below` or inside the group of that name; '' lists all."""
        ...

    def describe(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and type, without reading the values where the format allows it."""
        ...

    def read(self, name: str) -> np.ndarray:
        """The whole array."""
        ...


class NpyFile:
    """One array as `numpy.save` writes it, read from a stream that need not seek."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        """Read the header; `size` is what the stream holds in bytes."""
        self.stream = stream
        start = stream.tell()
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            header = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            header = np.lib.format.read_array_header_2_0(stream)
        else:
            raise FeatureFileError(
                FailureKind.BAD_FEATURES, f"is of .npy version {version}, a table of fields"
            )
        self.shape, self.fortran_order, self.dtype = header
        if self.dtype.hasobject:
            raise FeatureFileError(
                FailureKind.BAD_FEATURES, "holds pickled Python objects, which are never loaded"
            )
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize
        there = size - (stream.tell() - start)
        if there < self.nbytes:
            raise FeatureFileError(
                FailureKind.TRUNCATED, f"holds {there} of the {self.nbytes} bytes of its array"
            )

    def names(self, below: str) -> list[str]:
        return [""]

    def describe(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        return self.shape, self.dtype

    def read(self, name: str) -> np.ndarray:
        values = np.frombuffer(self.stream.read(self.nbytes), dtype=self.dtype)
        return values.reshape(self.shape, order="F" if self.fortran_order else "C")


class NpzFile:
    """Named arrays as `numpy.savez` writes them."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.archive = zipfile.ZipFile(stream)

    def names(self, below: str) -> list[str]:
        names = [name.removesuffix(".npy") for name in self.archive.namelist() if name.endswith(".npy")]
        return [name for name in names if _is_below(name, below)]

    def describe(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        with self._open(name) as array:
            return array.shape, array.dtype

    def read(self, name: str) -> np.ndarray:
        with self._open(name) as array:
            return array.read("")

    @contextmanager
    def _open(self, name: str) -> Iterator[NpyFile]:
        info = self.archive.getinfo(f"{name}.npy")
        with self.archive.open(info) as stream:
            yield NpyFile(stream, info.file_size)  # type: ignore[arg-type]


class Hdf5File:
    """The datasets of an HDF5 file that lie in the file itself: what it says of other files is not followed."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        import h5py  # only those who import HDF5 wait for it

        self.dataset_type = h5py.Dataset
        self.file = h5py.File(stream, "r")

    def names(self, below: str) -> list[str]:
        node = self.file[below] if below else self.file
        if isinstance(node, self.dataset_type):
            return [below]
        found: list[str] = []

        def visit(name: str, item: object) -> None:
            if isinstance(item, self.dataset_type):
                found.append(f"{below}/{name}" if below else name)

        node.visititems(visit)
        return found

    def describe(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        dataset = self._dataset(name)
        return dataset.shape, dataset.dtype

    def read(self, name: str) -> np.ndarray:
        return np.asarray(self._dataset(name)[()])

    def _dataset(self, name: str) -> Any:
        dataset = self.file[name]
        if dataset.is_virtual or dataset.external:
            raise FeatureFileError(FailureKind.BAD_FEATURES, f"keeps {name} in other files")
        return dataset


class TorchFile:
    """A tensor, or a dictionary of tensors, as `torch.save` writes it; loaded whole."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        import_beyond_limit("torch")
        import torch  # only those who import .pt wait for it

        content = torch.load(stream, map_location="cpu", weights_only=True)
        self.tensors = dict(_tensors(content, "", torch.Tensor))

    def names(self, below: str) -> list[str]:
        return [name for name in self.tensors if _is_below(name, below)]

    def describe(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        array = self.read(name)
        return array.shape, array.dtype

    def read(self, name: str) -> np.ndarray:
        tensor = self.tensors[name].detach()
        # numpy has no bfloat16, and float32 holds each of its values
        return np.asarray((tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy())


_READERS: dict[str, type[NpyFile | NpzFile | Hdf5File | TorchFile]] = {
    ".npy": NpyFile,
    ".npz": NpzFile,
    ".h5": Hdf5File,
    ".hdf5": Hdf5File,
    ".pt": TorchFile,
    ".pth": TorchFile,
}
ARRAY_SUFFIXES = frozenset(_READERS)


def open_arrays(stream: BinaryIO, size: int, suffix: str, *, seekable: bool) -> ArrayFile:
    """Open a file of `size` bytes whose name ends in `suffix`.

    A stream that is not `seekable` is first read into memory, except for `.npy`, which is read front to back.
    Raises FeatureFileError where the file is not what its suffix says.
    """
    with readable(suffix):
        if not seekable and suffix != ".npy":
            stream = io.BytesIO(stream.read(size))
        return _READERS[suffix](stream, size)


def choose_array(file: ArrayFile, entry: str | None, key: str | None) -> str:
    """The name of a video's array.

    Args:
        file: the open file.
        entry: the video's own array or group in a file of many videos; None where the file is one video's.
        key: the array to take where there are several.
    Raises:
        FeatureFileError: there is none, or there are several and no `key`.
    """
    names = file.names(entry or "")
    wanted = names if key is None else [f"{entry}/{key}" if entry else key]
    if names in ([""], [entry]):
        wanted = names  # there is nothing to choose
    if len(wanted) == 1 and wanted[0] in names:
        return wanted[0]
    there = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "") or "none"
    remedy = "give key=<name of the features>" if key is None else f"none is key={key}"
    raise FeatureFileError(FailureKind.BAD_FEATURES, f"holds {len(names)} arrays ({there}); {remedy}")


def check_floats(dtype: np.dtype[Any]) -> None:
    """Raises FeatureFileError where values of this type are not features."""
    if dtype.kind != "f":
        raise FeatureFileError(FailureKind.BAD_FEATURES, f"holds {dtype} values, not floating-point features")


@contextmanager
def readable(suffix: str) -> Iterator[None]:
    """Whatever a damaged file makes its reader raise becomes a FeatureFileError (`unreadable`), save MemoryError.

    Raises OutageError where its storage does not answer.
    """
    try:
        yield
    except (FeatureFileError, MemoryError, OutageError):
        raise
    except InputError as error:
        raise FeatureFileError(FailureKind.UNREADABLE, str(error)) from error
    except Exception as error:  # four parsers meet bytes of any kind, and each has its own errors
        if is_outage(error):
            raise OutageError(first_line(error)) from error
        text = str(error).strip() or type(error).__name__
        raise FeatureFileError(
            FailureKind.UNREADABLE, f"is not a readable {suffix} file ({text.splitlines()[0]})"
        ) from error


def _is_below(name: str, group: str) -> bool:
    return not group or name == group or name.startswith(f"{group}/")


def _tensors(content: Any, name: str, tensor_type: type) -> Iterator[tuple[str, Any]]:
    if isinstance(content, tensor_type):
        yield name, content
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _tensors(value, f"{name}/{key}" if name else str(key), tensor_type)
