"""The index in columns is the index by loops, and `index/` changes nothing but what has to be read."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import parquet, storage
from pipeline.features.healing import heal
from pipeline.features.plan import cut_chunks
from pipeline.features.schema import FEATURES_SCHEMA, PLAN_SCHEMA
from pipeline.features.sources import VideoSource
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from tests.pipeline.features.plain_index import plain_index
from tests.pipeline.synthetic import make_videos, write_store

ERRORS = [None, None, None, "storage: away", "decode_error: bad: worse", "truncated: ends", "storage"]
# Names whose order as text is that of their code points, and of which some begin with others.
NAMES = ["a", "a#000001", "a b", "ab", "B", "é", "z\U0001f600", "\uffee", "folder/clip", "-", "v"]


def random_store(folder: Path, rng: np.random.Generator) -> FeatureStore:
    """A store with everything that runs may leave: see the comments."""
    store = FeatureStore.create(str(folder), FeatureSpec("b", "w", {}, 1, Timeline(None, 2, 4)))
    plan, rows = [], []
    for name in rng.permutation(NAMES).tolist():
        fps, duration = float(rng.choice([10.0, 12.5])), float(rng.uniform(0.3, 8))
        edition = int(rng.choice([0, 0, 1, 2]))
        source = VideoSource(name, f"/{name}.mp4", edition=edition)
        chunks = cut_chunks(source, duration, Timeline(fps, 2, 4), int(rng.integers(6, 20)))
        if rng.random() < 0.8:  # else its plan is gone
            plan += chunks[: int(rng.integers(1, len(chunks) + 1))] if rng.random() < 0.1 else chunks
        short = float(rng.uniform(0.2, duration))
        for _ in range(int(rng.integers(0, 4))):  # written so many times, each time in part
            for chunk in chunks:
                if rng.random() < 0.3:
                    continue
                error = ERRORS[int(rng.integers(len(ERRORS)))]
                changes = {"error": error, "dim": 1}
                if rng.random() < 0.1:
                    changes |= {"edition": int(rng.integers(3)), "uri": "/before.mp4"}
                if rng.random() < 0.1:  # kept although it ends early
                    changes |= {"duration": short}
                values = np.zeros(chunk["num_snippets"], np.float16).tobytes()
                rows.append(chunk | changes | {"features": None if error else values})
    files = np.split(np.arange(len(rows)), np.sort(rng.integers(0, len(rows) + 1, 5)))
    for number in rng.permutation(len(files)).tolist():
        table = pa.Table.from_pylist([rows[row] for row in files[number]], schema=FEATURES_SCHEMA)
        if rng.random() < 0.2:  # of the version before editions
            table = table.drop_columns(["edition"])
        write(folder / "features" / f"{number}.parquet", table, int(rng.integers(1, 6)))
    write(folder / "plan" / "p.parquet", pa.Table.from_pylist(plan, schema=PLAN_SCHEMA), 100)
    (folder / "features" / "killed.parquet").write_bytes(b"PAR1 and no more")
    return store


def write(path: Path, table: pa.Table, rows_per_group: int) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path, row_group_size=rows_per_group)


def check(store: FeatureStore) -> None:
    """Everything that a store tells of its rows is what loops make of them."""
    index = store.index()
    expected, editions, outdated, recorded = plain_index(store)
    assert list(index) == list(expected)
    assert dict(index.items()) == expected
    assert {name: index[name] for name in expected} == expected
    assert index.complete.tolist() == [video.complete for video in expected.values()]
    assert index.lost_chunks.tolist() == [len(video.lost_chunks) for video in expected.values()]
    assert index.recorded_chunks.tolist() == [video.recorded_chunks for video in expected.values()]
    assert index.duration.tolist() == [video.duration for video in expected.values()]
    assert (store.editions(), store.outdated_chunks) == (editions, outdated)
    unanswered = {chunk for video in expected.values() for chunk in video.unanswered_chunks}
    lost = {chunk for video in expected.values() for chunk in video.lost_chunks}
    for retry, redo in ((False, outdated | unanswered), (True, outdated | lost)):
        assert store.redo(retry) == redo
        assert store.pending(retry)["chunk_id"].to_pylist() == [
            chunk for chunk in store.plan()["chunk_id"].to_pylist() if chunk not in recorded or chunk in redo
        ]


@pytest.mark.parametrize("seed", range(60))
def test_columns_say_what_loops_say(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    store = random_store(tmp_path, rng)
    check(store)
    check(pickle.loads(pickle.dumps(store)))  # noqa: S301
    store.record_index()
    check(store)
    check(FeatureStore(store.url))
    # What comes and goes beside the index: a file that is rewritten, one that is gone, parts that are.
    files = [Path(url) for url in parquet.list_parquet(store.folder("features"))[:-1]]
    changed, gone = rng.choice(files, 2, replace=False).tolist()
    table = pq.read_table(changed)
    write(changed, table.slice(0, table.num_rows // 2), 3)
    gone.unlink()
    check(FeatureStore(store.url))
    store = FeatureStore(store.url)
    heal(store)
    check(store)
    check(FeatureStore(store.url))
    storage.remove(store.folder("index"))
    check(FeatureStore(store.url))


def test_a_video_is_found_among_many_and_a_stranger_is_not(tmp_path: Path) -> None:
    store = random_store(tmp_path, np.random.default_rng(1))
    index = store.index()
    names = list(index)
    assert index.find([*names, "nobody", ""]).tolist() == [*range(len(names)), -1, -1]
    assert all(name in index for name in names)
    assert "nobody" not in index
    assert "" not in index
    assert None not in index
    assert index.get("zzz") is None
    with pytest.raises(KeyError, match="nobody"):
        index["nobody"]
    some = index.only(np.array([1, 3, 4]))
    assert dict(some.items()) == {names[row]: index[names[row]] for row in (1, 3, 4)}
    assert not index.only(np.array([], dtype=np.int64))


def test_an_empty_store_has_an_empty_index(tmp_path: Path) -> None:
    store = FeatureStore.create(str(tmp_path), FeatureSpec("b", "w", {}, 1, Timeline(8.0, 2, 2)))
    store.record_index()
    assert (len(store.index()), store.pending().num_rows, store.redo()) == (0, 0, frozenset())
    assert not (tmp_path / "index").exists()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the Parquet files that are read, as they are."""
    urls: list[str] = []
    read = storage.read_with

    def noted(url, parse):
        urls.append(url)
        return read(url, parse)

    monkeypatch.setattr(storage, "read_with", noted)
    return urls


def add_file(store: FeatureStore, name: str) -> None:
    """Another file with the same rows as the store's first."""
    table = parquet.read_table(parquet.list_parquet(store.folder("features"))[0])
    parquet.write_table(storage.join(store.folder("features"), name), table)


def opened_below(opened: list[str], folder: str) -> list[str]:
    return [url.rsplit("/", 1)[-1] for url in opened if f"/{folder}/" in url]


def test_only_files_that_no_part_tells_of_are_opened(tmp_path: Path, opened: list[str]) -> None:
    store = write_store(str(tmp_path), make_videos(4, "train", seed=5))
    store.record_index()
    opened.clear()
    assert len(FeatureStore(store.url).index()) == 4
    assert opened_below(opened, "features") == []
    add_file(store, "second.parquet")
    opened.clear()
    assert len(FeatureStore(store.url).index()) == 4
    assert opened_below(opened, "features") == ["second.parquet"]
    store.record_index()
    assert len(parquet.list_parquet(store.folder("index"))) == 2
    store.record_index()
    assert len(parquet.list_parquet(store.folder("index"))) == 2


def test_many_parts_become_one(tmp_path: Path, opened: list[str]) -> None:
    store = write_store(str(tmp_path), make_videos(2, "train", seed=5))
    most = 0
    for number in range(40):
        add_file(store, f"{number:02d}.parquet")
        store.record_index()
        most = max(most, len(parquet.list_parquet(store.folder("index"))))
    assert most < 20
    opened.clear()
    check(FeatureStore(store.url))
    assert set(opened_below(opened, "features")) == set()


def test_a_store_may_be_moved_with_its_index(tmp_path: Path, opened: list[str]) -> None:
    store = write_store(str(tmp_path / "here"), make_videos(2, "train", seed=5))
    store.record_index()
    (tmp_path / "here").rename(tmp_path / "there")
    opened.clear()
    moved = FeatureStore(str(tmp_path / "there"))
    assert len(moved.load(next(iter(moved.index())))) > 0
    assert opened_below(opened, "features") == ["part.parquet"]  # for the features themselves


@pytest.mark.parametrize("content", [b"", b"PAR1", "other", "doubled"])
def test_a_part_that_makes_no_sense_is_passed_over_and_a_writer_removes_it(
    tmp_path: Path, content: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    store = write_store(str(tmp_path), make_videos(2, "train", seed=5))
    store.record_index()
    [part] = parquet.list_parquet(store.folder("index"))
    odd = storage.join(store.folder("index"), "0-odd.parquet")
    if content == "other":
        parquet.write_table(odd, pa.table({"something": [1]}))
    elif content == "doubled":  # a merge that was killed before it removed what it had merged
        parquet.write_table(odd, parquet.read_table(part))
    else:
        storage.write_bytes(odd, content)
    check(FeatureStore(store.url))
    FeatureStore(store.url).record_index()
    assert len(parquet.list_parquet(store.folder("index"))) == 1
    assert ("damaged" in caplog.text) == isinstance(content, bytes)


def test_readers_write_nothing(tmp_path: Path) -> None:
    store = write_store(str(tmp_path), make_videos(2, "train", seed=5))
    assert len(store.index()) == 2
    assert not (tmp_path / "index").exists()
