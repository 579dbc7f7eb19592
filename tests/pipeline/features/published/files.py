"""Small published feature files of every kind, as bytes."""

import io
import tarfile
import zipfile
from collections.abc import Mapping

import h5py
import numpy as np
import torch


def values(length: int, width: int = 6, seed: int = 0) -> np.ndarray:
    """`[length, width]` float32, all different."""
    return np.random.default_rng(seed).normal(size=(length, width)).astype(np.float32)


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array, allow_pickle=allow_pickle)
    return sink.getvalue()


def npz(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    sink = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(sink, **arrays)  # type: ignore[arg-type]
    return sink.getvalue()


def hdf5(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Datasets by path; a path with a slash makes its groups."""
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    return sink.getvalue()


def pt(content: object) -> bytes:
    sink = io.BytesIO()
    torch.save(content, sink)
    return sink.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return sink.getvalue()


def tarred(files: Mapping[str, bytes], compression: str = "") -> bytes:
    """A tar; `compression` is `gz`, `bz2`, `xz` or none."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()
