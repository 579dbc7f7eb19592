"""Costs that must not grow with the archive, counted and not timed: requests, objects, bytes that a task is sent."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import s3fs

from pipeline import parquet, storage
from pipeline.features.index import StoreIndex
from pipeline.features.places import places_of
from pipeline.features.store import FeatureStore
from tests.pipeline import synthetic

SIZES = (6, 48)  # files of features


def store_of_files(url: str, count: int) -> FeatureStore:
    """A store of so many videos, each in a file of its own, as daily runs leave it."""
    store = synthetic.write_store(url, synthetic.make_videos(count, "train", seed=1))
    whole = storage.join(store.folder("features"), "part.parquet")
    rows = parquet.read_table(whole)
    storage.remove(whole)
    for number in range(rows.num_rows):
        parquet.write_table(
            storage.join(store.folder("features"), f"{number:03d}.parquet"), rows[number : number + 1]
        )
    return FeatureStore(url)


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The bytes that each request to S3 brings, 0 for those that ask for no file's content."""
    brought: list[int] = []
    call = s3fs.S3FileSystem._call_s3

    async def counting(fs: s3fs.S3FileSystem, method: str, *arguments: Any, **options: Any) -> Any:
        answer = await call(fs, method, *arguments, **options)
        brought.append(answer["ContentLength"] if method == "get_object" else 0)
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(s3fs.S3FileSystem, "_call_s3", counting)
        yield brought


def test_a_store_of_many_files_opens_by_as_many_requests_as_one_of_few(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}
    for count in SIZES:
        url = f"{s3_server}/flat/{count}"
        store_of_files(url, count).record_index()
        with counted(monkeypatch) as brought:
            assert len(FeatureStore(url).index()) == count
        asked[count] = len(brought)
    assert asked[SIZES[0]] == asked[SIZES[1]]
    assert asked[SIZES[0]] < 20


def test_an_index_brings_a_fraction_of_the_store_and_a_video_little_more_than_itself(
    s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(synthetic.SPEC, dim=2048)
    small, large = 24, 96  # 7 and 30 MB
    brought = {}
    for count in (small, large):
        videos = synthetic.make_videos(count, "train", seed=1)
        url = f"{s3_server}/bytes/{count}"
        synthetic.write_store(url, videos, spec)  # nobody has recorded its index
        size = sum(file.size for file in storage.list_files(f"{url}/features"))
        store = FeatureStore(url)
        with counted(monkeypatch) as of_index:
            index = store.index()
        assert sum(of_index) < 0.02 * size
        with counted(monkeypatch) as of_video:
            wanted = store.load(videos[0].video_id).nbytes
        assert sum(of_video) < 1.3 * wanted + 2**20
        brought[count] = sum(of_index)
        assert len(index) == count
    assert brought[large] < brought[small] * (large / small) ** 1.05


def test_what_a_task_is_sent_does_not_grow_with_the_store(tmp_path: Any) -> None:
    sizes = {}
    for count in SIZES:
        index = store_of_files(f"{tmp_path}/{count}", count).index()
        sizes[count] = len(pickle.dumps(places_of(index.only(np.array([0])))))
    assert sizes[SIZES[1]] < 1.1 * sizes[SIZES[0]]


def test_questions_about_all_videos_make_no_object_of_any(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_of_files(f"{tmp_path}/store", SIZES[1])

    def refused(*_: Any) -> None:
        raise AssertionError("an object was made of a video")

    monkeypatch.setattr(StoreIndex, "at", refused)
    store = FeatureStore(f"{tmp_path}/store")
    index = store.index()
    assert len(index) == SIZES[1]
    assert index.complete.all()
    assert store.pending().num_rows == store.pending(retry_lost=True).num_rows == 0
    assert places_of(index).num_rows == SIZES[1]
    assert index.has_all([*list(index)[:3], "stranger"]).tolist() == [True] * 3 + [False]
