"""Extraction from real files on a real Ray: invariance, hostile files, resuming, refusing."""

import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import lease
from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.features.extraction import prepared as prepared_module
from pipeline.features.extraction.run import extract
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.store import FeatureStore
from pipeline.summary import Summary
from tests.videos import encode_audio, encode_video

pytestmark = pytest.mark.usefixtures("ray_local")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    encode_video(folder / "long.mp4", seconds=13.3, seed=1)
    encode_video(folder / "wide.mp4", seconds=4.0, size=(160, 64), fps=30, seed=2)
    encode_video(folder / "blink.mp4", seconds=0.1, seed=3)
    return folder


def run(videos: Path | str, store: Path | str, *words: str) -> Summary:
    overrides = [
        f"videos={videos}",
        f"store={store}",
        "backbone=tiny",
        "decode.cpus=0.5",
        "embed.cpus=0.5",
        *words,
    ]
    return extract(compose_config("extract", ExtractConfig, overrides))


def features(store: Path | str) -> dict[str, np.ndarray]:
    opened = FeatureStore(str(store))
    return {video_id: opened.load(video_id) for video_id, video in opened.index().items() if video.complete}


def test_features_do_not_depend_on_how_a_video_is_cut(archive: Path, tmp_path: Path) -> None:
    overlapping = ["timeline.window=4", "backbone.frames_per_snippet=2"]
    first = run(archive, tmp_path / "a", "chunk_frames=64", *overlapping)
    run(archive, tmp_path / "b", "chunk_frames=512", *overlapping)
    run(
        archive,
        tmp_path / "c",
        "chunk_frames=10",
        "decode.chunks_per_task=1",
        "embed.chunks_per_batch=5",
        *overlapping,
    )
    assert (first.total, first.done, first.failed, first.exit_status) == (3, 3, 0, 0)
    a, b, c = features(tmp_path / "a"), features(tmp_path / "b"), features(tmp_path / "c")
    assert a.keys() == b.keys() == c.keys() == {"long", "wide", "blink"}
    for video_id in a:
        assert (a[video_id] == b[video_id]).all()
        assert (a[video_id] == c[video_id]).all()
        assert a[video_id].dtype == np.float16
    # 13.3 s at 8 frames a second are 107 frames; windows of 4 every 2 frames: (107 - 4) // 2 + 1
    assert len(a["long"]) == 52
    assert len(a["blink"]) == 1
    assert len(np.unique(a["long"], axis=0)) == 52


def test_nothing_to_do_needs_neither_ray_nor_the_network(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("blink.mp4", "wide.mp4"):
        (videos / name).write_bytes((archive / name).read_bytes())
    (videos / "broken.mp4").write_bytes(b"junk")
    first = run(videos, tmp_path / "store")
    assert (first.done, first.failed) == (2, 1)
    for needless in ("connect", "describe_remotely"):
        monkeypatch.setattr(prepared_module, needless, lambda *_: pytest.fail("it is not needed"))
    again = run(videos, tmp_path / "store")
    assert (again.done, again.already_done, again.failed) == (0, 2, 1)
    # What is new, or to be tried again, needs both.
    monkeypatch.undo()
    tried = run(videos, tmp_path / "store", "retry_failed=true")
    assert (tried.done, tried.already_done, tried.failed) == (0, 2, 1)
    (videos / "broken.mp4").write_bytes((archive / "blink.mp4").read_bytes())
    mended = run(videos, tmp_path / "store", "retry_failed=true")
    assert (mended.done, mended.already_done, mended.failed) == (1, 2, 0)


def test_ranges_are_parts_of_the_whole(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path, "chunk_frames=16")
    store = FeatureStore(str(tmp_path))
    whole = store.load("long")
    for start, stop in ((0, 1), (7, 8), (3, 30), (0, len(whole)), (len(whole) - 1, len(whole))):
        assert (store.load_range("long", start, stop) == whole[start:stop]).all()
    for start, stop in ((-1, 3), (5, 5), (0, len(whole) + 1)):
        with pytest.raises(InputError, match="long"):
            store.load_range("long", start, stop)
    with pytest.raises(InputError, match="has no video nobody"):
        store.load("nobody")


def test_hostile_files_are_rows_and_the_good_ones_come_through(archive: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    encode_video(videos / "good.mp4", seconds=5, seed=4)
    encode_audio(videos / "audio.mp4")
    (videos / "text.mp4").write_text("this is not a video\n" * 50)
    (videos / "empty.mp4").write_bytes(b"")
    whole = encode_video(
        videos / "cut.mp4", seconds=8, seed=5, options={"movflags": "faststart"}
    ).read_bytes()
    (videos / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (videos / "headless.mp4").write_bytes(encode_video(tmp_path / "x.mp4", seconds=2).read_bytes()[:-800])

    summary = run(videos, tmp_path / "store", "chunk_frames=16")
    assert (summary.total, summary.done, summary.failed, summary.exit_status) == (6, 1, 5, 3)
    store = FeatureStore(str(tmp_path / "store"))
    failures = {row["video_id"]: row for row in store.failures().to_pylist()}
    assert {video_id: row["kind"] for video_id, row in failures.items()} == {
        "audio": "no_video_stream",
        "text": "unreadable",
        "empty": "unreadable",
        "headless": "unreadable",
        "cut": "truncated",
    }
    assert all(row["message"] and row["uri"].endswith(".mp4") for row in failures.values())
    assert [asdict(failure) for failure in summary.failures] == [failures[one] for one in sorted(failures)]
    run(videos / "good.mp4", tmp_path / "alone")
    assert (features(tmp_path / "store")["good"] == features(tmp_path / "alone")["good"]).all()
    cut = store.index()["cut"]
    assert 0 < sum(chunk.num_snippets for chunk in cut.chunks) < cut.num_snippets
    with pytest.raises(InputError, match=r"cut.*truncated"):
        store.load("cut")

    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "store" / "features").iterdir()}
    again = run(videos, tmp_path / "store", "chunk_frames=16", "allow_failures=true")
    assert (again.done, again.already_done, again.failed, again.exit_status) == (0, 1, 5, 0)
    assert replace(again, allow_failures=False).exit_status == 3  # the losses stay this job's
    assert again.failures == summary.failures
    assert files == {file: file.stat().st_mtime_ns for file in (tmp_path / "store" / "features").iterdir()}
    (videos / "text.mp4").write_bytes((videos / "good.mp4").read_bytes())
    (videos / "cut.mp4").write_bytes(whole)
    (videos / "new.mp4").write_bytes(whole)
    mended = run(videos, tmp_path / "store", "chunk_frames=16", "retry_failed=true")
    assert (mended.total, mended.done, mended.already_done, mended.failed) == (7, 3, 1, 3)
    after = features(tmp_path / "store")
    assert (after["text"] == after["good"]).all()
    assert (after["cut"] == after["new"]).all()


def test_a_store_holds_one_kind_of_features(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path)
    with pytest.raises(InputError, match=r"holds other features .*timeline\.stride: 2 here, 4 there"):
        run(archive, tmp_path, "timeline.stride=4", "timeline.window=4")
    with pytest.raises(InputError, match="weights"):
        run(archive, tmp_path, "backbone.seed=1")


def test_extraction_from_and_to_object_storage(archive: Path, tmp_path: Path, s3_server: str) -> None:
    from pipeline import storage

    for file in archive.iterdir():
        storage.write_bytes(f"{s3_server}/videos/{file.name}", file.read_bytes())
    summary = run(f"{s3_server}/videos", f"{s3_server}/store")
    assert (summary.total, summary.done) == (3, 3)
    run(archive, tmp_path)
    there, here = features(f"{s3_server}/store"), features(tmp_path)
    assert all((there[video_id] == here[video_id]).all() for video_id in here)
    again = run(f"{s3_server}/videos", f"{s3_server}/store")
    assert (again.done, again.already_done) == (0, 3)


def test_other_files_under_known_names_are_refused_moved_or_replaced(tmp_path: Path) -> None:
    first, second, store = tmp_path / "first", tmp_path / "second", tmp_path / "store"
    for name, seed in (("same", 1), ("other", 2)):
        encode_video(first / f"{name}.mp4", seconds=4, seed=seed)
    run(first, store, "chunk_frames=16")
    before = features(store)
    encode_video(second / "other.mp4", seconds=2, seed=9)
    (second / "same.mp4").write_bytes((first / "same.mp4").read_bytes())
    with pytest.raises(InputError, match=rf"knows video other by another file: it is {first}/other\.mp4"):
        run(second, store, "chunk_frames=16")
    with pytest.raises(InputError, match=r"knows video other by another file"):
        run(second, store, "chunk_frames=16", "moved=true")
    summary = run(second, store, "chunk_frames=16", "moved=true", "replace=true")
    assert (summary.total, summary.done, summary.already_done) == (2, 1, 1)
    after = features(store)
    run(second / "other.mp4", tmp_path / "alone")
    assert (after["same"] == before["same"]).all()
    assert (after["other"] == features(tmp_path / "alone")["other"]).all()
    assert len(after["other"]) < len(before["other"])
    uris = {video.uri for video in FeatureStore(str(store)).index().values()}
    assert uris == {f"{second}/same.mp4", f"{second}/other.mp4"}
    again = run(second, store, "chunk_frames=16")
    assert (again.done, again.already_done) == (0, 2)

    # what was extracted is not given up for a file that nothing can be extracted from
    (second / "other.mp4").write_bytes(b"not a video")
    failed = run(second, store, "chunk_frames=16", "replace=true")
    assert (failed.done, failed.already_done, failed.failed) == (0, 1, 1)
    assert FeatureStore(str(store)).failures()["video_id"].to_pylist() == ["other"]
    assert (features(store)["other"] == after["other"]).all()


def test_features_whose_file_is_gone_are_made_again(archive: Path, tmp_path: Path) -> None:
    run(archive, tmp_path, "chunk_frames=16")
    before = features(tmp_path)
    gone, damaged, *_ = sorted((tmp_path / "features").glob("*.parquet"))
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-30])
    summary = run(archive, tmp_path, "chunk_frames=16")
    assert (summary.total, summary.failed, summary.exit_status) == (3, 0, 0)
    assert summary.done > 0
    after = features(tmp_path)
    assert all((after[video_id] == before[video_id]).all() for video_id in before)


def test_a_store_that_another_job_writes_into_is_refused(archive: Path, tmp_path: Path) -> None:
    with (
        lease.hold(str(tmp_path), "store", "extract"),
        pytest.raises(InputError, match=rf"^store={tmp_path}: is being written by extract"),
    ):
        run(archive, tmp_path)


def test_a_name_that_is_not_utf8_is_extracted_like_any_other(archive: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    content = (archive / "wide.mp4").read_bytes()
    (videos / "plain.mp4").write_bytes(content)
    with open(os.fsencode(videos) + b"/caf\xe9.mp4", "wb") as stream:
        stream.write(content)
    assert run(videos, tmp_path / "store").done == 2
    found = features(tmp_path / "store")
    assert (found["caf\\xe9"] == found["plain"]).all()
