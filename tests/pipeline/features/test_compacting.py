"""Small files of a store, merged: it says the same before, between and after, whatever is killed when."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline import parquet, storage
from pipeline.cluster.resumable import record_of
from pipeline.failures import Failure, FailureKind, failures_table
from pipeline.features.compacting import best_rows, compact_if_many, compact_store
from pipeline.features.healing import heal
from pipeline.features.schema import FEATURES_SCHEMA, as_plan
from pipeline.features.store import FeatureStore
from tests.pipeline.synthetic import make_videos, write_store

VIDEOS = make_videos(12, "train", seed=2)
LOST = VIDEOS[3].video_id
SHARD_MB = 0.02  # under which files of two chunks are small, and in which a merged file has some of them


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def scattered(url: str, rows: int = 2) -> FeatureStore:
    """A store as many runs leave it: few chunks a file, each with its record, and many small parts of the plan."""
    store = write_store(url, VIDEOS, chunk=10, errors={LOST: "decode_error: gave up"})
    table = parquet.read_table(f"{url}/features/part.parquet")
    for folder in ("features", "plan"):
        storage.remove(f"{url}/{folder}/part.parquet")
    for number, start in enumerate(range(0, table.num_rows, rows)):
        part = table.slice(start, rows)
        put(url, f"{number:04d}", part)
        parquet.write_table(f"{url}/plan/probe-{number:04d}.parquet", as_plan(part))
    for number in range(5):
        failure = Failure(f"broken {number}", "/b.mp4", "probe", FailureKind.UNREADABLE, "no moov atom")
        parquet.write_table(f"{url}/failures/probe-{number}.parquet", failures_table([failure]))
    return FeatureStore(store.url)


def put(url: str, record: str, rows: pa.Table) -> None:
    parquet.write_table(f"{url}/features/{record}-000000.parquet", rows)
    parquet.write_table(f"{url}/checkpoint/{record}.parquet", rows.select(["chunk_id"]))


def told(url: str) -> dict[str, Any]:
    """All that a reader learns of a store, read by one who comes now."""
    store = FeatureStore(url)
    index = store.index()
    return {
        "videos": {
            video_id: (video.num_snippets, video.duration, video.failure, video.lost_chunks)
            for video_id, video in index.items()
        },
        "features": {each: store.load(each).tobytes() for each in index if index[each].complete},
        "plan": sorted(store.plan().to_pylist(), key=lambda row: str(row["chunk_id"])),
        "pending": store.pending(True)["chunk_id"].to_pylist(),
        "failures": sorted(store.failures().to_pylist(), key=lambda row: str(row["video_id"])),
    }


def recorded(url: str) -> set[str]:
    """The chunks that Ray takes for done: those of the records whose file is there."""
    files = {record_of(Path(file).name) for file in parquet.list_parquet(f"{url}/features")}
    tables = {Path(file).stem: parquet.read_table(file) for file in parquet.list_parquet(f"{url}/checkpoint")}
    return {
        chunk for name, table in tables.items() if name in files for chunk in table["chunk_id"].to_pylist()
    }


def count(url: str) -> dict[str, int]:
    return {
        name: len(parquet.list_parquet(f"{url}/{name}"))
        for name in ("features", "plan", "failures", "checkpoint")
    }


@pytest.fixture(params=["local", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "store")
    return f"{request.getfixturevalue('s3_server')}/compacting-{tmp_path.name}"


def test_a_store_says_the_same_in_fewer_files(url: str) -> None:
    store = scattered(url)
    before, done, files = told(url), recorded(url), count(url)
    merged = compact_store(store, SHARD_MB)
    assert told(url) == before
    assert recorded(url) == done
    assert count(url)["features"] < files["features"] / 2
    assert count(url)["features"] == count(url)["checkpoint"]
    assert count(url)["plan"] < files["plan"] / 2
    assert count(url)["failures"] == 1
    assert merged.before > merged.after
    assert not storage.exists(f"{url}/merging.json")
    names = parquet.list_parquet(f"{url}/features")
    compact_store(store, 1e-6)
    assert parquet.list_parquet(f"{url}/features") == names


def killing(monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], int]:
    """Let the process be killed before its storage is changed for the `step`th time; gives how often it was."""
    changed = 0
    real_replace, real_remove = storage.replace_atomically, storage.remove

    def counted() -> None:
        nonlocal changed
        changed += 1
        if changed == step:
            raise Killed

    def replace_atomically(url: str) -> Any:
        counted()
        return real_replace(url)

    def remove(url: str) -> None:
        counted()
        real_remove(url)

    monkeypatch.setattr(storage, "replace_atomically", replace_atomically)
    monkeypatch.setattr(storage, "remove", remove)
    return lambda: changed


def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A store for each step of its merging, killed before it; the last is not killed."""
    step, killed = 0, True
    while killed:
        step += 1
        url = str(tmp_path / f"store_{step}")
        store = scattered(url, rows=7)
        with monkeypatch.context() as patch:
            killing(patch, step)
            try:
                compact_store(store, SHARD_MB)
                killed = False
            except Killed:
                pass
        yield url, step


def test_a_kill_at_any_step_changes_nothing_and_the_next_merge_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = scattered(str(tmp_path / "plain"), rows=7)
    before, done = told(plain.url), recorded(plain.url)
    compact_store(plain, SHARD_MB)
    last = 0
    for url, step in steps(tmp_path, monkeypatch):
        assert told(url) == before, step
        assert recorded(url) == done, step
        store = FeatureStore(url)
        heal(store)
        assert told(url) == before, step
        compact_store(store, SHARD_MB)
        assert told(url) == before, step
        assert recorded(url) == done, step
        rows = sum(parquet.read_table(file).num_rows for file in parquet.list_parquet(f"{url}/features"))
        assert rows == len(done), step  # no row lies there twice for ever
        assert count(url)["features"] == count(url)["checkpoint"], step
        last = step
    assert last > 20


def test_readers_that_came_before_find_what_was_merged(url: str) -> None:
    reader, late = scattered(url), FeatureStore(url)
    before = {each: reader.load(each) for each in reader.index() if reader.index()[each].complete}
    late.index()
    compact_store(FeatureStore(url), SHARD_MB)
    for opened in (reader, late):
        for video_id, features in before.items():
            assert np.array_equal(opened.load(video_id), features)


def test_a_folder_whose_files_are_merged_while_it_is_read_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "store")
    before = told(scattered(url).url)
    read, merged = parquet.read_file, []

    def merged_meanwhile(file: str, *arguments: Any) -> Any:
        folder = Path(file).parent.name
        if folder not in merged:
            merged.append(folder)
            with monkeypatch.context() as patch:
                patch.setattr(parquet, "read_file", read)
                compact_store(FeatureStore(url), SHARD_MB * len(merged))
        return read(file, *arguments)

    monkeypatch.setattr(parquet, "read_file", merged_meanwhile)
    assert told(url) == before
    assert {"plan", "features", "failures"} <= set(merged)


def test_rows_that_were_written_twice_become_the_one_that_counts(tmp_path: Path) -> None:
    store = scattered(str(tmp_path / "store"))
    index = store.index()
    lost = parquet.read_table(f"{store.url}/features/0000-000000.parquet")
    # A second, failed row of chunks that are fine, and a good row of the chunk that is lost.
    again = lost.set_column(
        lost.column_names.index("error"), "error", pa.array(["crash: died"] * lost.num_rows)
    )
    again = again.set_column(
        lost.column_names.index("features"), "features", pa.nulls(lost.num_rows, pa.large_binary())
    )
    put(store.url, "zzzz", again.cast(FEATURES_SCHEMA))
    whole = FeatureStore(store.url)
    assert whole.index().keys() == index.keys()
    before = told(store.url)
    compact_store(whole, 1000)
    assert told(store.url) == before
    assert before["videos"][LOST][2] is not None
    [merged] = parquet.list_parquet(f"{store.url}/features")
    chunks = parquet.read_table(merged)["chunk_id"]
    assert len(pc.unique(chunks)) == len(chunks)


def test_an_edition_that_is_outdated_stays_beside_the_newest() -> None:
    row = dict.fromkeys(FEATURES_SCHEMA.names)
    row |= {
        "chunk_id": "a#0",
        "video_id": "a",
        "uri": "u",
        "chunk_index": 0,
        "num_chunks": 1,
        "first_snippet": 0,
    }
    row |= {"num_snippets": 1, "duration": 9.0, "fps": 1.0, "dim": 1, "features": b"xx"}
    rows = [
        row | {"features": None, "error": "crash: died"},
        row,
        row | {"duration": 4.0},
        row | {"edition": 1, "duration": 5.0},
    ]
    tables = [pa.Table.from_pylist([each], FEATURES_SCHEMA) for each in rows]
    kept = best_rows(tables).to_pylist()
    assert [(each["edition"], each["duration"]) for each in kept] == [(None, 4.0), (1, 5.0)]


def test_what_was_never_committed_is_left_to_the_next_run(tmp_path: Path) -> None:
    store = scattered(str(tmp_path / "store"))
    record = f"{store.url}/checkpoint/0002"
    storage.write_bytes(f"{record}.pending.parquet", storage.read_bytes(f"{record}.parquet"))
    compact_store(store, 1000)
    names = {Path(file).name for file in parquet.list_parquet(f"{store.url}/features")}
    assert "0002-000000.parquet" in names
    assert len(names) == 2
    assert storage.exists(f"{record}.parquet")


def test_it_happens_by_itself_where_there_are_too_many(tmp_path: Path) -> None:
    store = scattered(str(tmp_path / "store"))
    files = count(store.url)
    compact_if_many(store, 128, 0)
    compact_if_many(store, 128, files["features"])
    assert count(store.url) == files
    compact_if_many(store, 128, files["features"] - 1)
    assert count(store.url)["features"] == 1
