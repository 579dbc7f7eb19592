"""Exports: `.npy` files that anything reads, and that come back as they were."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.compose import compose_config
from pipeline.config import ExportFeaturesConfig, ImportFeaturesConfig
from pipeline.errors import InputError
from pipeline.features.published.exporting import export_features
from pipeline.features.published.importing import import_features
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
        f"source={out}", f"store={tmp_path / 'again'}", f"info={out / 'videos.json'}",
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
    assert (summary.total, summary.done, summary.already_done, summary.failed) == (5, 3, 1, 1)
    assert summary.exit_status == 3
    assert (out / "test_000.npy").stat().st_mtime_ns == before
    assert (np.load(cut) == features_of(VIDEOS[1])).all()
    assert not (out / f"{LOST}.npy").exists()
    assert json.loads((out / "videos.json").read_text())["test_000"]["fps"] == SPEC.timeline.fps
    again = run(tmp_path, "allow_failures=true")
    assert (again.done, again.already_done, again.failed, again.exit_status) == (0, 4, 1, 0)

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
    with pytest.raises(InputError, match=r"'\.\./escape' is a path that leads out of the folder"):
        run(tmp_path)
    write_store(str(tmp_path / "other" / "store"), VIDEOS[:1], replace(SPEC, backbone="other"))
    with pytest.raises(
        InputError, match=r"out=.*holds other features \(backbone: synthetic here, other there"
    ):
        run(tmp_path / "other", f"out={tmp_path / 'out'}")
