"""What killed, doubled and damaged runs leave in a store: readers say what is wrong, the next writer puts it right."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import parquet, storage
from pipeline.errors import InputError
from pipeline.failures import Failure, FailureKind, failures_table
from pipeline.features.healing import heal
from pipeline.features.plan import forget_probe_failures, without_failed, write_part
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource
from pipeline.features.store import FeatureStore
from tests.pipeline.synthetic import make_videos, write_store

VIDEOS = make_videos(4, "train", seed=5)


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path)
    return f"{request.getfixturevalue('s3_server')}/healing-{tmp_path.name}"


def _plan_files(store: FeatureStore) -> list[str]:
    return parquet.list_parquet(store.folder("plan"))


def test_a_half_written_plan_part_is_nobodys_plan(tmp_path: Path) -> None:
    store = write_store(str(tmp_path), VIDEOS)
    planned = store.plan()
    whole = Path(_plan_files(store)[0])
    for name, content in (("whole", whole.read_bytes()), ("cut", whole.read_bytes()[:50])):
        whole.with_name(f"{name}.parquet.0123456789abcdef.partial").write_bytes(content)
    assert FeatureStore(store.url).plan().equals(planned)
    heal(store)
    assert _plan_files(store) == [str(whole)]
    assert not list(tmp_path.rglob("*.partial"))


def test_a_doubled_plan_counts_once_and_is_healed(root: str) -> None:
    store = write_store(root, VIDEOS)
    planned = store.plan().num_rows
    doubled = parquet.read_table(_plan_files(store)[0])
    parquet.write_table(storage.join(store.folder("plan"), "second-job.parquet"), doubled)
    store = FeatureStore(store.url)
    assert store.plan().num_rows == planned
    assert store.pending().num_rows == 0
    heal(store)
    assert sum(parquet.read_table(url).num_rows for url in _plan_files(store)) == planned
    assert all(video.complete for video in FeatureStore(root).index().values())


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all"])
def test_a_damaged_plan_part_is_named_and_its_videos_are_planned_again(root: str, content: bytes) -> None:
    store = write_store(root, VIDEOS)
    damaged = storage.join(store.folder("plan"), "damaged.parquet")
    storage.write_bytes(damaged, content)
    with pytest.raises(InputError, match=r"damaged\.parquet: damaged, not a whole Parquet file .*again"):
        FeatureStore(store.url).index()
    heal(store)
    assert not storage.exists(damaged)
    assert len(FeatureStore(store.url).index()) == len(VIDEOS)


def test_a_damaged_features_file_is_removed_and_its_chunks_are_pending(root: str) -> None:
    store = write_store(root, VIDEOS)
    [file] = parquet.list_parquet(store.folder("features"))
    storage.write_bytes(file, storage.read_bytes(file)[:-100])
    store = FeatureStore(store.url)
    heal(store)
    assert parquet.list_parquet(store.folder("features")) == []
    assert store.pending().num_rows == store.plan().num_rows
    assert store.feature_files == frozenset()


def test_a_store_of_an_earlier_version_opens_and_gets_todays_plan(tmp_path: Path) -> None:
    store = write_store(str(tmp_path), VIDEOS)
    for folder in ("plan", "features"):
        for url in parquet.list_parquet(store.folder(folder)):
            table = parquet.read_table(url)
            old = table.drop_columns(
                [n for n in ("edition", "file_size", "file_version") if n in table.schema.names]
            )
            pq.write_table(old, url)
    store = FeatureStore(store.url)
    assert all(video.complete for video in store.index().values())
    assert store.pending().num_rows == 0
    heal(store)
    assert parquet.read_table(_plan_files(store)[0]).schema.equals(PLAN_SCHEMA)
    assert store.pending().num_rows == 0


def test_features_of_an_earlier_edition_are_done_again(tmp_path: Path) -> None:
    store = write_store(str(tmp_path), VIDEOS)
    first = VIDEOS[0].video_id
    rows = [row | {"edition": 1} for row in store.plan().to_pylist() if row["video_id"] == first]
    write_part(store, [pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)], [])
    store = FeatureStore(store.url)
    assert store.plan().num_rows == len(rows) + sum(
        row["video_id"] != first for row in store.plan().to_pylist()
    )
    assert not store.index()[first].complete
    chunks = {row["chunk_id"] for row in rows}
    assert set(store.pending()["chunk_id"].to_pylist()) == chunks
    assert store.redo() == chunks


def test_what_storage_lost_is_tried_again_by_the_plain_command(tmp_path: Path) -> None:
    errors = {VIDEOS[0].video_id: "storage: away", VIDEOS[1].video_id: "decode_error: bad"}
    store = write_store(str(tmp_path), VIDEOS, errors=errors)
    assert {chunk.split("#")[0] for chunk in store.redo()} == {VIDEOS[0].video_id}
    assert {chunk.split("#")[0] for chunk in store.redo(retry_lost=True)} == set(errors)
    assert set(store.pending()["video_id"].to_pylist()) == {VIDEOS[0].video_id}


def test_failed_probes_of_other_videos_stay_recorded(tmp_path: Path) -> None:
    store = write_store(str(tmp_path), VIDEOS)
    failed = [
        Failure(name, f"/old/{name}.mp4", "probe", kind, "x")
        for name, kind in [
            ("mine", FailureKind.UNREADABLE), ("other", FailureKind.UNREADABLE), ("away", FailureKind.STORAGE),
        ]
    ]  # fmt: skip
    write_part(store, [], [failures_table(failed)])
    named = [VideoSource(name, f"/old/{name}.mp4") for name in ("mine", "away", "new")]
    assert [source.video_id for source in without_failed(store, named)] == ["away", "new"]
    elsewhere = [VideoSource("mine", "/new/mine.mp4")]
    assert without_failed(store, elsewhere) == elsewhere
    forget_probe_failures(store, {"mine", "new"})
    assert store.failures()["video_id"].to_pylist() == ["other", "away"]
    forget_probe_failures(store, {"other", "away"})
    assert parquet.list_parquet(store.folder("failures")) == []


def test_two_specs_cannot_make_one_store(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the two overlap: a stat that fails, or comes too early, never lets one overwrite the other's spec."""
    store = write_store(root, VIDEOS)
    written = storage.read_bytes(storage.join(store.url, "feature_spec.json"))
    monkeypatch.setattr(storage, "exists", lambda _: False)
    assert not storage.create_exclusively(storage.join(store.url, "feature_spec.json"), b"other")
    with pytest.raises(InputError):
        FeatureStore.create(
            root, store.spec
        )  # for `exists` says that it is not there, and nothing is written
    assert storage.read_bytes(storage.join(store.url, "feature_spec.json")) == written
