"""Exactly-once writing on local files and on a real S3 server, and the gaps of Ray's own checkpointing."""

import io
import posixpath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from pipeline import storage
from pipeline.cluster.resumable import rows_a_task, undo_uncommitted, write_resumably

IDS = [f"{i:03d}" for i in range(10)]
SCHEMA = pa.schema([("id", pa.string()), ("value", pa.int64())]).with_metadata({"made by": "this test"})


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "local":
        return str(tmp_path)
    return f"{request.getfixturevalue('s3_server')}/resumable-{tmp_path.name}"


def put_ids(root: str, folder: str, ids: list[str], name: str = "rows") -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array(ids, pa.string())}), sink)
    storage.write_bytes(f"{root}/{folder}/{name}.parquet", sink.getvalue())


def planned(root: str) -> list[str]:
    tables = [
        pq.read_table(io.BytesIO(storage.read_bytes(file.url))) for file in storage.list_files(f"{root}/plan")
    ]
    return pa.concat_tables(tables)["id"].to_pylist()


def run(root: str, value: int, redo: frozenset[str] = frozenset()) -> None:
    """What a job does: it heals the folder, and what the files do not tell is left."""
    undo_uncommitted(f"{root}/out", f"{root}/checkpoint")
    left = [i for i in planned(root) if i not in written(root) or i in redo]
    put_ids(root, "left", left)

    def transform(rows: ray.data.Dataset) -> ray.data.Dataset:
        return rows.map_batches(
            lambda table: table.append_column("value", pa.array([value] * table.num_rows, pa.int64())),
            batch_format="pyarrow",
            num_cpus=0.25,
        )

    write_resumably(
        source=f"{root}/left",
        transform=transform,
        target=f"{root}/out",
        checkpoint=f"{root}/checkpoint",
        id_column="id",
        schema=SCHEMA,
        rows_per_file=4,
        row_bytes=16,
        rows_per_task=2,
        there={posixpath.basename(file.url) for file in storage.list_files(f"{root}/out")},
    )


def written(root: str) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for file in storage.list_files(f"{root}/out"):
        table = pq.read_table(io.BytesIO(storage.read_bytes(file.url)))
        assert table.schema.metadata == SCHEMA.metadata
        for row in table.to_pylist():
            rows.setdefault(row["id"], []).append(row["value"])
    return rows


def test_each_id_is_written_once_however_often_the_command_runs(ray_local: None, root: str) -> None:
    put_ids(root, "plan", IDS)
    run(root, value=1)
    assert written(root) == {f"{i:03d}": [1] for i in range(10)}
    put_ids(root, "plan", ["010", "011", "012"], "more")
    run(root, value=2, redo=frozenset({"001"}))
    assert written(root) == {f"{i:03d}": [1] if i < 10 else [2] for i in range(13)} | {"001": [1, 2]}


@pytest.mark.parametrize("data_survived", [True, False])
def test_a_kill_between_copy_and_delete_of_a_commit_loses_nothing(
    ray_local: None, root: str, data_survived: bool
) -> None:
    put_ids(root, "plan", IDS)
    run(root, value=1)
    record = storage.list_files(f"{root}/checkpoint")[0].url
    pending = record.removesuffix(".parquet") + ".pending.parquet"
    storage.write_bytes(pending, storage.read_bytes(record))
    if not data_survived:
        storage.remove(storage.list_files(f"{root}/out")[0].url)
    run(root, value=2)
    rows = written(root)
    assert sorted(rows) == IDS
    assert all(len(values) == 1 for values in rows.values())
    assert storage.exists(pending) is False
    assert any(values == [2] for values in rows.values())


def test_a_file_whose_commit_never_came_is_written_again(ray_local: None, root: str) -> None:
    put_ids(root, "plan", IDS)
    run(root, value=1)
    record = storage.list_files(f"{root}/checkpoint")[0].url
    content = storage.read_bytes(record)
    storage.remove(record)
    storage.write_bytes(record.removesuffix(".parquet") + ".pending.parquet", content)
    run(root, value=2)
    rows = written(root)
    assert sorted(rows) == IDS
    assert all(len(values) == 1 for values in rows.values())


def test_what_was_never_committed_goes_before_ray_is_asked(root: str) -> None:
    names = ["out/killed-0.parquet", "out/killed-1.parquet", "out/killed-2-0.parquet", "out/done-0.parquet"]
    records = ["killed.pending", "done", "half", "half.pending", "lost.pending"]
    for name in [*names, "out/half-0.parquet", *(f"checkpoint/{record}.parquet" for record in records)]:
        storage.write_bytes(f"{root}/{name}", b"content")
    undo_uncommitted(f"{root}/out", f"{root}/checkpoint")
    left = [
        posixpath.basename(file.url)
        for folder in ("out", "checkpoint")
        for file in storage.list_files(f"{root}/{folder}")
    ]
    assert left == ["done-0.parquet", "killed-2-0.parquet", "done.parquet"]
    undo_uncommitted(f"{root}/nowhere", f"{root}/nowhere/checkpoint")


@pytest.mark.parametrize(("rows", "expected"), [(0, 4), (10_000, 4), (81_920, 10), (10**7, 1220)])
def test_tasks_grow_with_what_is_left(rows: int, expected: int) -> None:
    assert rows_a_task(4, rows) == expected
