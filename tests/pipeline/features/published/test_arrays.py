"""Array files of every format are read as they were written, and damaged ones are told from usable ones."""

import io
import pickle
from collections.abc import Callable
from contextlib import suppress

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.features.published.arrays import check_floats, choose_array, open_arrays, readable
from pipeline.features.published.errors import FeatureFileError
from tests.pipeline.features.published.files import hdf5, npy, npz, pt, values

ARRAY = values(9)
SINGLE: dict[str, tuple[str, bytes]] = {
    "npy": (".npy", npy(ARRAY)),
    "npy, Fortran order": (".npy", npy(np.asfortranarray(ARRAY))),
    "npy, big-endian": (".npy", npy(ARRAY.astype(">f4"))),
    "npz": (".npz", npz(feats=ARRAY)),
    "npz, compressed": (".npz", npz(compressed=True, feats=ARRAY)),
    "h5": (".h5", hdf5({"features": ARRAY})),
    "h5, in a group": (".hdf5", hdf5({"a/b/features": ARRAY})),
    "pt": (".pt", pt(torch.from_numpy(ARRAY))),
    "pth, a dictionary": (".pth", pt({"meta": {"feats": torch.from_numpy(ARRAY)}, "fps": 30})),
}


def read(content: bytes, suffix: str, entry: str | None = None, key: str | None = None) -> np.ndarray:
    with readable(suffix):
        file = open_arrays(io.BytesIO(content), len(content), suffix, seekable=True)
        name = choose_array(file, entry, key)
        array = file.read(name)
        assert file.describe(name) == (array.shape, array.dtype)
        check_floats(array.dtype)
    return array


class Forward(io.RawIOBase):
    """A stream that can only be read front to back, as the members of a compressed tar are."""

    def __init__(self, content: bytes) -> None:
        self.inner = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self.inner.read(size)

    def tell(self) -> int:
        return self.inner.tell()


@pytest.mark.parametrize(("suffix", "content"), SINGLE.values(), ids=SINGLE.keys())
def test_every_format_gives_back_its_array(suffix: str, content: bytes) -> None:
    assert (read(content, suffix) == ARRAY).all()
    file = open_arrays(Forward(content), len(content), suffix, seekable=False)  # type: ignore[arg-type]
    name = choose_array(file, None, None)
    assert file.describe(name)[0] == ARRAY.shape
    assert (file.read(name) == ARRAY).all()


def test_bfloat16_tensors_keep_their_values() -> None:
    tensor = torch.from_numpy(ARRAY).bfloat16().requires_grad_()
    assert (read(pt(tensor), ".pt") == tensor.detach().float().numpy()).all()


@pytest.mark.parametrize("make", [lambda a: (".npz", npz(**a)), lambda a: (".h5", hdf5(a))])
def test_files_of_many_videos_and_of_several_arrays(
    make: Callable[[dict[str, np.ndarray]], tuple[str, bytes]],
) -> None:
    suffix, content = make({"v_1": ARRAY, "v_2/rgb": ARRAY + 1, "v_2/flow": ARRAY + 2, "v_12": ARRAY + 3})
    assert (read(content, suffix, entry="v_1") == ARRAY).all()
    assert (read(content, suffix, entry="v_1", key="rgb") == ARRAY).all()
    assert (read(content, suffix, entry="v_2", key="flow") == ARRAY + 2).all()
    assert (read(content, suffix, key="v_12") == ARRAY + 3).all()
    with pytest.raises(FeatureFileError, match=r"holds 2 arrays \(v_2/[^)]*\); give key="):
        read(content, suffix, entry="v_2")
    with pytest.raises(FeatureFileError, match=r"holds 4 arrays \(.*, \.\.\.\); none is key=nose"):
        read(content, suffix, key="nose")


def test_nothing_is_unpickled(tmp_path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "exploded"), "w"))

    objects = np.array([Bomb()], dtype=object)
    for suffix, content in (
        (".npy", npy(objects, allow_pickle=True)),
        (".npy", pickle.dumps(Bomb())),
        (".pt", pickle.dumps(Bomb())),
    ):
        with pytest.raises(FeatureFileError):
            read(content, suffix)
    sink = io.BytesIO()
    torch.save(Bomb(), sink)
    with pytest.raises(FeatureFileError, match=r"not a readable \.pt file"):
        read(sink.getvalue(), ".pt")
    with pytest.raises(FeatureFileError, match="pickled Python objects, which are never loaded"):
        read(npz(a=objects), ".npz")
    assert not (tmp_path / "exploded").exists()


def test_an_hdf5_file_cannot_point_to_others(tmp_path) -> None:
    (tmp_path / "secret.h5").write_bytes(hdf5({"x": ARRAY}))
    (tmp_path / "raw.bin").write_bytes(ARRAY.tobytes())
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    with pytest.raises(FeatureFileError, match="holds 0 arrays"):
        read((tmp_path / "links.h5").read_bytes(), ".h5")
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_dataset("x", ARRAY.shape, "f4", external=[(str(tmp_path / "raw.bin"), 0, ARRAY.nbytes)])
    with pytest.raises(FeatureFileError, match="keeps x in other files"):
        read((tmp_path / "outside.h5").read_bytes(), ".h5")


@pytest.mark.parametrize(
    ("content", "suffix", "kind", "message"),
    [
        (npy(ARRAY)[:-10], ".npy", "truncated", "holds 206 of the 216 bytes of its array"),
        (b"", ".npy", "unreadable", r"not a readable \.npy file"),
        (b"not an array" * 50, ".npz", "unreadable", "zip"),
        (hdf5({"x": ARRAY})[:300], ".h5", "unreadable", "truncated"),
        (npy(np.arange(6)), ".npy", "bad_features", "holds int64 values, not floating-point features"),
        (npy(np.zeros(2, dtype=[("x", "f4")])), ".npy", "bad_features", "not floating-point features"),
        (hdf5({"x": np.array([b"text"])}), ".h5", "bad_features", "not floating-point features"),
        (pt({"fps": 30}), ".pt", "bad_features", r"holds 0 arrays \(none\)"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(content: bytes, suffix: str, kind: str, message: str) -> None:
    with pytest.raises(FeatureFileError, match=message) as caught:
        read(content, suffix)
    assert caught.value.kind == kind
    assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message  # noqa: S301


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SINGLE)), st.data())
def test_damage_anywhere_never_raises_anything_else(name: str, data: st.DataObject) -> None:
    suffix, content = SINGLE[name]
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for _ in range(data.draw(st.integers(0, 3)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(FeatureFileError):
        read(bytes(damaged), suffix)
