"""A video is its content: other files under known ids, moved archives and replaced files."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import parquet, storage
from pipeline.errors import InputError
from pipeline.features.identity import Comparison, compare, record_files
from pipeline.features.plan import chunk_rows, write_part
from pipeline.features.schema import FEATURES_SCHEMA, PLAN_SCHEMA
from pipeline.features.sources import VideoSource, list_videos
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline

SPEC = FeatureSpec("b", "w", {}, 2, Timeline(fps=10, stride=2, window=4))


def plan_of(folder: Path, sources: Iterable[VideoSource], error: str | None = None) -> FeatureStore:
    """A store that has planned these videos and extracted them, or lost them to `error`."""
    store = FeatureStore.create(str(folder), SPEC)
    rows = [row for source in sources for row in chunk_rows(source, 20, 8, 4.5, SPEC.timeline)]
    write_part(store, [pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)], [])
    values = {"dim": 2, "features": None if error else b"", "error": error}
    table = pa.Table.from_pylist([row | values for row in rows], schema=FEATURES_SCHEMA)
    parquet.write_table(f"{store.url}/features/0.parquet", table)
    return store


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    for name in ("one", "two"):
        (tmp_path / "a" / f"{name}.mp4").write_bytes(name.encode() * 100)
    return tmp_path


def test_the_same_files_are_known(archive: Path) -> None:
    sources = list_videos(str(archive / "a"))
    store = plan_of(archive / "store", sources)
    assert compare(store, sources).new == compare(store, sources).replaced == []
    added = [*sources, VideoSource("three", f"{archive}/a/three.mp4")]
    assert compare(store, added).new == added[-1:]


def test_the_same_name_in_another_folder_is_refused(archive: Path) -> None:
    store = plan_of(archive / "store", list_videos(str(archive / "a")))
    (archive / "b" / "one.mp4").write_bytes(b"another video")
    others = list_videos(str(archive / "b"))
    with pytest.raises(
        InputError,
        match=rf"knows video one by another file: it is {archive}/a/one\.mp4 \(300 bytes\), not "
        rf"{archive}/b/one\.mp4 \(13 bytes\); moved=true .* replace=true .* another store=",
    ):
        compare(store, others)
    with pytest.raises(InputError, match="knows video one by another file"):
        compare(store, others, moved=True)  # of another size, so not the same file
    [again] = compare(store, others, moved=True, replaced=True).replaced
    assert (again.video_id, again.edition) == ("one", 1)


def test_a_moved_archive_keeps_its_features_and_gets_its_new_places(archive: Path) -> None:
    store = plan_of(archive / "store", list_videos(str(archive / "a")))
    for path in (archive / "a").iterdir():
        shutil.copy(path, archive / "b" / path.name)  # with another time of change
    moved = list_videos(str(archive / "b"))
    found = compare(store, moved, moved=True)
    assert (found.new, found.replaced) == ([], [])
    record_files(store, found.updated)
    assert set(store.plan()["uri"].to_pylist()) == {f"{archive}/b/one.mp4", f"{archive}/b/two.mp4"}
    assert compare(store, moved).updated == []


def test_a_file_replaced_under_its_name_is_noticed(archive: Path) -> None:
    sources = list_videos(str(archive / "a"))
    store = plan_of(archive / "store", sources)
    path = archive / "a" / "two.mp4"
    path.write_bytes(b"2wo" * 100)  # of the same size
    os.utime(path, ns=(1, 10**18))
    with pytest.raises(InputError, match=rf"two by another file: {path} has changed since"):
        compare(store, list_videos(str(archive / "a")))
    found = compare(store, list_videos(str(archive / "a")), replaced=True)
    assert [source.video_id for source in found.replaced] == ["two"]


def test_files_of_a_manifest_are_looked_at(archive: Path) -> None:
    store = plan_of(archive / "store", list_videos(str(archive / "a")))
    manifest = archive / "list.csv"
    manifest.write_text("video_id,uri\none,a/one.mp4\ntwo,a/two.mp4\n")
    assert compare(store, list_videos(str(manifest))).replaced == []
    (archive / "a" / "one.mp4").write_bytes(b"shorter")
    with pytest.raises(InputError, match="one by another file"):
        compare(store, list_videos(str(manifest)))


@pytest.mark.parametrize("count", [3, 40])
def test_many_files_of_one_folder_are_told_by_its_listing(s3_server: str, tmp_path: Path, count: int) -> None:
    folder = f"{s3_server}/identity-{tmp_path.name}"
    for number in range(count):
        storage.write_bytes(f"{folder}/{number}.mp4", b"%d" % number)
    listed = list_videos(folder)
    store = plan_of(tmp_path / "store", listed)
    plain = [VideoSource(source.video_id, source.uri) for source in listed]
    assert compare(store, plain).replaced == []
    storage.write_bytes(f"{folder}/1.mp4", b"X")
    with pytest.raises(InputError, match="knows video 1 by another file"):
        compare(store, plain)


def test_etags_tell_copies_from_other_files_of_the_same_size(tmp_path: Path) -> None:
    etag, other = "0123456789abcdef" * 2, "fedcba9876543210" * 2
    store = plan_of(tmp_path, [VideoSource("v", "s3://a/v.mp4", 7, etag)])
    copies = [VideoSource("v", "s3://b/v.mp4", 7, etag)]
    assert compare(store, copies, moved=True).updated == copies
    with pytest.raises(InputError, match="knows video v by another file"):
        compare(store, [VideoSource("v", "s3://b/v.mp4", 7, other)], moved=True)


def test_fresh_signatures_are_the_same_file(tmp_path: Path) -> None:
    store = plan_of(tmp_path, [VideoSource("v", "https://host/v.mp4?X-Amz-Signature=old")])
    assert store.plan()["uri"][0].as_py() == "https://host/v.mp4"
    fresh = [VideoSource("v", "https://host/v.mp4?X-Amz-Signature=new")]
    assert compare(store, fresh).new == compare(store, fresh).replaced == []


def test_stores_without_sizes_learn_them(archive: Path) -> None:
    sources = list_videos(str(archive / "a"))
    store = plan_of(archive / "store", [VideoSource(s.video_id, s.uri) for s in sources])
    found = compare(store, sources)
    record_files(store, found.updated)
    assert set(store.plan()["file_size"].to_pylist()) == {300}
    assert compare(store, sources).updated == []


def test_features_whose_plan_was_lost_keep_their_edition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = plan_of(tmp_path, [])
    monkeypatch.setattr(FeatureStore, "editions", lambda _: {"v": 2})
    [source] = compare(store, [VideoSource("v", "/v.mp4")]).new
    assert source.edition == 2


def test_a_file_that_failed_may_be_mended(archive: Path) -> None:
    store = plan_of(archive / "store", list_videos(str(archive / "a")), error="decode_error: bad")
    (archive / "a" / "one.mp4").write_bytes(b"mended")
    mended = list_videos(str(archive / "a"))
    with pytest.raises(InputError, match="one by another file"):
        compare(store, mended)
    assert [source.video_id for source in compare(store, mended, retry_failed=True).replaced] == ["one"]


def test_a_file_of_which_nothing_is_stored_may_change(archive: Path) -> None:
    store = plan_of(archive / "store", list_videos(str(archive / "a")))
    storage.remove(store.folder("features"))
    store.forget_index()
    (archive / "a" / "one.mp4").write_bytes(b"still being uploaded then")
    assert [s.video_id for s in compare(store, list_videos(str(archive / "a"))).replaced] == ["one"]


ETAGS = ("0123456789abcdef" * 2, "W/" + "fedcba9876543210" * 2, "00112233445566778899aabbccddeeff-12")
FILES = st.builds(
    VideoSource,
    st.sampled_from("abcdef"),
    st.sampled_from(["/one.mp4", "/two.mp4", "https://h/one.mp4", "https://u:p@h/one.mp4?signature=x"]),
    st.sampled_from([None, 3, 4]),
    st.sampled_from([None, "1700000000", "1700000001", *ETAGS]),
)


def by_hand(
    held: Mapping[str, VideoSource], sources: list[VideoSource], moved: bool, replaced: bool
) -> tuple[list[VideoSource], ...]:
    """New, replaced, updated and wrong ones, told video by video."""
    new, changed, updated, wrong = [], [], [], []

    def is_etag(version: str) -> bool:
        return re.fullmatch(r"(W/)?[0-9a-f]{32}(-\d+)?", version) is not None

    for now in sources:
        before = held.get(now.video_id)
        if before is None:
            new.append(now)
            continue
        same_size = None in (before.size, now.size) or before.size == now.size
        one, other = before.version, now.version
        versions_differ = one is not None and other is not None and one != other
        kinds = [is_etag(version or "") for version in (one, other)]
        if before.uri == now.stored_uri and same_size and not (versions_differ and len(set(kinds)) == 1):
            if before.size is None and now.size is not None:
                updated.append(now)
        elif moved and same_size and not (versions_differ and all(kinds)):
            updated.append(now)
        elif replaced:
            changed.append(replace(now, edition=1))
        else:
            wrong.append(now)
    return new, changed, updated, wrong


@given(
    st.lists(FILES, unique_by=lambda file: file.video_id),
    st.lists(FILES, unique_by=lambda file: file.video_id),
    st.booleans(),
    st.booleans(),
)
def test_comparing_in_columns_tells_what_comparing_one_by_one_does(
    before: list[VideoSource], sources: list[VideoSource], moved: bool, replaced: bool
) -> None:
    before = [replace(file, uri=file.stored_uri) for file in before]
    new, changed, updated, wrong = by_hand({f.video_id: f for f in before}, sources, moved, replaced)
    with TemporaryDirectory() as folder:
        store = plan_of(Path(folder) / "store", before)

        def ask() -> Comparison:
            return compare(store, sources, moved=moved, replaced=replaced, look=False)

        if wrong:
            with pytest.raises(
                InputError, match=rf"knows video {wrong[0].video_id} by another file"
            ) as refused:
                ask()
            assert (f"{len(wrong) - 1} more like it" in str(refused.value)) == (len(wrong) > 1)
            return
        found = ask()
        assert [found.new, found.replaced, found.updated] == [new, changed, updated]
        sizes = [(file.size, file.version) for file in found.updated]
        assert sizes == [(file.size, file.version) for file in updated]
        record_files(store, found.updated)
        plan = store.plan().select(["video_id", "uri", "file_size", "file_version"]).to_pylist()
        recorded = {file.video_id: file for file in (*before, *updated)}
        assert plan == [
            {
                "video_id": file.video_id,
                "uri": recorded[file.video_id].stored_uri,
                "file_size": recorded[file.video_id].size,
                "file_version": recorded[file.video_id].version,
            }
            for file in before
            for _ in range(3)
        ]


@pytest.mark.parametrize("there", [3, 40])
def test_files_that_are_asked_for_and_not_there_stay_untold(tmp_path: Path, there: int) -> None:
    sources = [VideoSource(f"{number:02}", f"{tmp_path}/{number:02}.mp4") for number in range(there + 20)]
    for source in sources[10 : 10 + there]:
        Path(source.uri).write_bytes(b"12345")
    sources.append(VideoSource("web", "https://host.invalid/v.mp4"))
    store = plan_of(tmp_path / "store", sources)
    found = compare(store, sources).updated
    assert [(s.video_id, s.size) for s in found] == [(s.video_id, 5) for s in sources[10 : 10 + there]]


def test_known_files_are_compared_without_an_object_each(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = archive / "list.csv"
    manifest.write_text("video_id,uri\none,a/one.mp4\ntwo,a/two.mp4\n")
    store = plan_of(archive / "store", list_videos(str(archive / "a")))

    def none(*_: object) -> None:
        raise AssertionError("an object was made")

    monkeypatch.setattr(VideoSource, "__init__", none)
    for videos in (archive / "a", archive / "a" / "*.mp4", manifest):
        found = compare(store, list_videos(str(videos)))
        assert (len(found.new), len(found.replaced), len(found.updated)) == (0, 0, 0)
