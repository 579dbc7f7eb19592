"""Exports: `.npy` files that anything reads, and that come back as they were."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.features.published.exporting import export_features
from pipeline.features.published.importing import import_features
from pipeline.features.published.settings import ExportFeaturesConfig, ImportFeaturesConfig
from pipeline.features.store import FeatureStore
from pipeline.summary import Summary
from tests.pipeline.synthetic import SPEC, features_of, make_videos, write_store

pytestmark = pytest.mark.usefixtures("ray_local")

VIDEOS = make_videos(5, "test", seed=3)
LOST = VIDEOS[3].video_id


def run(folder: Path, *words: str) -> Summary:
    overrides = [f"store={folder / 'store'}", f"out={folder / 'out'}", *words]
    return export_features(compose_config("export_features", ExportFeaturesConfig, overrides))


def test_what_is_exported_is_imported_again_bit_for_bit(tmp_path: Path) -> None:
    store = write_store(str(tmp_path / "store"), VIDEOS)
    summary = run(tmp_path)
    assert (summary.total, summary.done, summary.exit_status) == (5, 5, 0)
    out = tmp_path / "out"
    for video in VIDEOS:
        array = np.load(out / f"{video.video_id}.npy")
        assert array.dtype == np.float16
        assert (array == features_of(video)).all()

    timeline = SPEC.timeline
    words = [
        f"source={out}", f"store={tmp_path / 'again'}", f"info={out / 'videos.json'}", "name=synthetic",
        f"timeline.fps={timeline.fps}", f"timeline.stride={timeline.stride}", f"timeline.window={timeline.window}",
    ]  # fmt: skip
    assert import_features(compose_config("import_features", ImportFeaturesConfig, words)).done == 5
    again = FeatureStore(str(tmp_path / "again"))
    assert again.index().keys() == store.index().keys()
    for video_id, video in store.index().items():
        assert again.load(video_id).tobytes() == store.load(video_id).tobytes()
        there = again.index()[video_id]
        assert (there.duration, there.timeline, there.num_snippets) == (
            video.duration,
            video.timeline,
            video.num_snippets,
        )


def test_an_export_continues_and_leaves_whole_files_alone(tmp_path: Path) -> None:
    write_store(str(tmp_path / "store"), VIDEOS, errors={LOST: "truncated: it ends too early"})
    part = run(tmp_path, "only=[test_000,*1]")
    assert (part.total, part.done) == (2, 2)
    out = tmp_path / "out"
    assert {path.stem for path in out.glob("*.npy")} == {"test_000", "test_001"}
    cut = out / "test_001.npy"
    cut.write_bytes(cut.read_bytes()[:-2])
    before = (out / "test_000.npy").stat().st_mtime_ns

    summary = run(tmp_path)
    assert (summary.total, summary.done, summary.already_done) == (5, 3, 1)
    assert (summary.skipped, summary.failed, summary.exit_status) == (1, 0, 0)  # extraction has lost it
    assert [failure.kind for failure in summary.failures] == ["missing_features"]
    assert (out / "test_000.npy").stat().st_mtime_ns == before
    assert (np.load(cut) == features_of(VIDEOS[1])).all()
    assert not (out / f"{LOST}.npy").exists()
    assert json.loads((out / "videos.json").read_text())["test_000"]["fps"] == SPEC.timeline.fps
    again = run(tmp_path)
    assert (again.done, again.already_done, again.skipped, again.exit_status) == (0, 4, 1, 0)

    floats = run(tmp_path, "dtype=float32", "only=[test_000]")
    assert floats.done == 1
    assert np.load(out / "test_000.npy").dtype == np.float32
    assert (np.load(out / "test_000.npy") == features_of(VIDEOS[0])).all()


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no feature store there"):
        run(tmp_path)
    write_store(str(tmp_path / "store"), [VIDEOS[0], replace(VIDEOS[1], video_id="../escape")])
    with pytest.raises(InputError, match=r"only=nobody\*: the store has no such video; it has 2 others"):
        run(tmp_path, "only=[nobody*]")
    assert run(tmp_path).failed == 1
    assert not (tmp_path / "escape.npy").exists()
    write_store(str(tmp_path / "other" / "store"), VIDEOS[:1], replace(SPEC, backbone="other"))
    with pytest.raises(
        InputError, match=r"out=.*holds other features \(backbone: synthetic here, other there"
    ):
        run(tmp_path / "other", f"out={tmp_path / 'out'}")


LONG, DEEP = "v" * 300, "/".join(["folder" * 30] * 30)
IMPOSSIBLE = {
    "../escape": "the id is a path that leads out of the folder",
    "/escape": "the id is a path that leads out of the folder",
    "nul\0byte": "the id holds a NUL",
    "a//b": "the id has an empty part",
    LONG: "the id has a part of more than 200 bytes",
    "ä" * 120: "the id has a part of more than 200 bytes",
    DEEP: "the id makes a path of more than 4000 bytes",
    f"{VIDEOS[0].video_id}.npy/below": "Not a directory|File exists",
}


def test_ids_that_no_file_can_have_are_failures_and_the_rest_goes_on(tmp_path: Path) -> None:
    odd = [
        replace(video, video_id=name)
        for video, name in zip(make_videos(8, "odd", seed=4), IMPOSSIBLE, strict=True)
    ]
    write_store(str(tmp_path / "store"), [*VIDEOS, *odd])
    summary = run(tmp_path)
    assert (summary.total, summary.done, summary.failed, summary.exit_status) == (13, 5, 8, 3)
    assert run(tmp_path, "allow_failures=true").exit_status == 0
    failures = pq.read_table(tmp_path / "out" / "failures" / "export.parquet").to_pylist()
    assert {row["kind"] for row in failures} == {"unwritable"}
    assert {row["video_id"] for row in failures} == IMPOSSIBLE.keys()
    for row in failures:
        assert re.search(IMPOSSIBLE[row["video_id"]], row["message"])
    assert {path.stem for path in (tmp_path / "out").rglob("*.npy")} == {video.video_id for video in VIDEOS}
    again = run(tmp_path)
    assert (again.done, again.already_done, again.failed) == (0, 5, 8)


def test_object_stores_take_longer_ids_as_far_as_they_go(tmp_path: Path, s3_server: str) -> None:
    # 230 bytes are too many for a local file; 300 are too many for this server, and 5000 for any
    odd = [
        replace(video, video_id=name) for video, name in zip(VIDEOS, ["v" * 230, LONG, DEEP], strict=False)
    ]
    write_store(str(tmp_path / "store"), [*odd, VIDEOS[4]])
    summary = run(tmp_path, f"out={s3_server}/export-{tmp_path.name}")
    assert (summary.done, summary.failed) == (2, 2)
