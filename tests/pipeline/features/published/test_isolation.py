"""Hostile feature files cost the limit of a step and their own rows."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pipeline.errors import InputError
from pipeline.failures import FailureKind
from pipeline.features.published.errors import FeatureFileError
from pipeline.features.published.isolation import FileReader, IsolatedFiles, WantedFeatures
from pipeline.features.published.layout import ArrayRule
from pipeline.features.published.places import Place
from pipeline.features.published.shapes import PublishedShape
from pipeline.video.sandbox import Limits, Sandbox
from tests.pipeline.features.published.files import hdf5, npy, npz, pt, tarred, values
from tests.pipeline.features.published.test_importing import AT_8, features, put, run

ROWS, WIDTH = 700_000, 1024  # 2.7 GiB of float32


def hdf5_bomb() -> bytes:
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        file.create_dataset(
            "x", (ROWS, WIDTH), "f4", chunks=(ROWS // 10, WIDTH), compression="gzip", fillvalue=0
        )
    return sink.getvalue()


def npz_bomb() -> bytes:
    return npz(compressed=True, x=np.zeros((100_000, WIDTH), np.float32))


def pt_bomb() -> bytes:
    return pt(torch.zeros(1).expand(ROWS, WIDTH))


@pytest.fixture
def process() -> Iterator[Sandbox]:
    process = Sandbox(FileReader, (ArrayRule(),), Limits(seconds=20, memory_bytes=300 * 2**20))
    yield process
    process.close()


@pytest.mark.parametrize(("suffix", "bomb"), [("h5", hdf5_bomb), ("npz", npz_bomb), ("pt", pt_bomb)])
def test_a_small_file_that_unpacks_to_gibibytes_is_a_failure(
    process: Sandbox, tmp_path: Path, suffix: str, bomb
) -> None:
    put(tmp_path, {f"bomb.{suffix}": bomb(), "good.npy": npy(values(9))})
    assert (tmp_path / f"bomb.{suffix}").stat().st_size < 600_000
    files = IsolatedFiles(process)
    place = Place(str(tmp_path / f"bomb.{suffix}"))
    shape = files.shape(place)
    assert shape.error is None
    assert shape.width == WIDTH
    for _ in range(2):
        with pytest.raises(FeatureFileError, match="needs more memory than 300 MiB") as caught:
            files.features(WantedFeatures((place,), WIDTH, 0, 10, False))
        assert caught.value.kind is FailureKind.OUT_OF_MEMORY
    assert not process.running  # so the second time nobody tried
    good = files.features(WantedFeatures((Place(str(tmp_path / "good.npy")),), 6, 2, 9, True))
    assert good.tolist() == values(9)[2:].astype(np.float16).tolist()


def test_a_file_that_never_ends_costs_the_time_limit(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    process = Sandbox(FileReader, (ArrayRule(),), Limits(seconds=5))
    try:
        files = IsolatedFiles(process)
        shape = files.shape(Place(str(tmp_path / "pipe.h5")))
        assert shape.error is not None
        assert (shape.error.kind, str(shape.error)) == (FailureKind.TIMEOUT, "takes longer than 5 s")
        with pytest.raises(FeatureFileError, match="takes longer"):
            files.names(Place(str(tmp_path / "pipe.h5")))
    finally:
        process.close()


def test_a_walk_through_an_archive_outlives_its_process(process: Sandbox, tmp_path: Path) -> None:
    contents = {f"{index}.npy": npy(values(5 + index, seed=index)) for index in range(4)}
    url = str(tmp_path / "feats.tar.gz")
    Path(url).write_bytes(tarred(contents, "gz"))
    files = IsolatedFiles(process)
    found = []
    for position, path in files.walk(url):
        assert process._process is not None
        process._process.kill()
        place = Place(url, path)
        found.append((path, files.member_shape(place, position)))
        process._process.kill()
        wanted = WantedFeatures((place,), 6, 0, 5 + position, True, position)
        assert (
            files.features(wanted).tolist() == values(5 + position, seed=position).astype(np.float16).tolist()
        )
    assert found == [(f"{index}.npy", PublishedShape(5 + index, 6)) for index in range(4)]
    Path(url).write_bytes(tarred(contents, "gz")[:-300])
    with pytest.raises(InputError, match="damaged or cut short"):
        list(IsolatedFiles(process).walk(url))


@pytest.mark.usefixtures("ray_local")
def test_an_import_goes_on_around_a_bomb(tmp_path: Path) -> None:
    files = {"bomb.h5": hdf5_bomb(), "a.npy": npy(values(39, WIDTH)), "b.h5": hdf5({"x": values(39, WIDTH)})}
    source = put(tmp_path / "source", files)
    words = (*AT_8, "read.memory_mb=300", "chunk_snippets=100000")
    summary = run(source, tmp_path / "store", *words)
    assert (summary.done, summary.failed) == (2, 1)
    assert features(tmp_path / "store").keys() == {"a", "b"}
