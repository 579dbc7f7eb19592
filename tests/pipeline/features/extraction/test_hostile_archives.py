"""Whole extractions of archives in which files are damaged, hang, or would take all memory."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.extract import JOB as EXTRACT
from pipeline.compose import compose_config
from pipeline.features.extraction.dry_run import DryRun
from pipeline.features.extraction.planning import plan_store
from pipeline.features.extraction.run import extract
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.stages import describe
from pipeline.features.sources import list_videos
from pipeline.features.store import FeatureStore
from pipeline.summary import Summary
from tests.pipeline.features.chain import extract_here
from tests.pipeline.mutations import mutate_archive
from tests.pipeline.poison import write_bomb
from tests.videos import encode_video

pytestmark = pytest.mark.usefixtures("ray_local")

# The lightest network that there is: these tests are about files.
SETTINGS = [
    "backbone=tiny", "backbone.kind=torchvision", "backbone.architecture=squeezenet1_1", "backbone.image_size=32",
    "backbone.batch_size=4", "decode.cpus=0.5", "embed.cpus=0.5",
]  # fmt: skip


def settings(videos: Path, store: Path, *words: str) -> ExtractConfig:
    return compose_config("extract", ExtractConfig, [f"videos={videos}", f"store={store}", *SETTINGS, *words])


def run(videos: Path, store: Path, *words: str) -> Summary:
    return extract(settings(videos, store, *words))


def features(store: Path) -> dict[str, np.ndarray]:
    opened = FeatureStore(str(store))
    return {video_id: opened.load(video_id) for video_id, video in opened.index().items() if video.complete}


def failures(store: Path) -> dict[str, str]:
    """video id -> kind"""
    table = FeatureStore(str(store)).failures()
    assert len(set(table["video_id"].to_pylist())) == table.num_rows
    return dict(zip(table["video_id"].to_pylist(), table["kind"].to_pylist(), strict=True))


def test_a_truncated_video_can_be_kept_as_a_short_one(tmp_path: Path) -> None:
    videos, store = tmp_path / "videos", tmp_path / "store"
    whole = encode_video(videos / "whole.mp4", seconds=12, seed=5, options={"movflags": "faststart"})
    data = whole.read_bytes()
    (videos / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])

    words = ["chunk_frames=16", "decode.truncated=keep"]
    kept = run(videos, store, *words)
    assert (kept.done, kept.failed, kept.exit_status) == (2, 0, 0)
    assert kept.figures["kept although they end too early"] == "1 videos"
    assert failures(store) == {}
    index = FeatureStore(str(store)).index()
    cut = index["cut"]
    assert cut.complete
    assert (cut.stated_duration, index["whole"].stated_duration) == (12, None)
    assert 4 < cut.duration < 11
    assert cut.num_snippets == cut.timeline.num_snippets(cut.timeline.num_frames(cut.duration))
    found = features(store)
    assert (found["cut"] == found["whole"][: cut.num_snippets]).all()

    files = sorted((store / "features").iterdir())
    again = run(videos, store, *words)
    assert (again.done, again.already_done, again.failed) == (0, 2, 0)
    assert sorted((store / "features").iterdir()) == files


def test_files_that_hang_or_take_all_memory_cost_their_rows_only(tmp_path: Path) -> None:
    """Pipes that nobody writes to hang the probe, or the decoder where one took a planned file's place."""
    videos, store = tmp_path / "videos", tmp_path / "store"
    encode_video(videos / "good.mp4", seconds=4, seed=1)
    stalled = encode_video(videos / "stalls_later.mp4", seconds=4, seed=2)
    os.mkfifo(videos / "stalls.mp4")
    write_bomb(videos / "bomb.mp4")
    names = ("good", "stalls", "stalls_later", "bomb")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("video_id,uri\n" + "".join(f"{name},videos/{name}.mp4\n" for name in names))
    words = ["chunk_frames=8", "decode.timeout_s=5", "decode.memory_mb=100"]

    config = settings(manifest, store, *words)
    planned = FeatureStore.create(config.store, describe(config)[0])
    plan_store(planned, list_videos(f"{videos}/stalls_later.mp4"), config.chunk_frames)
    stalled.unlink()
    os.mkfifo(stalled)
    # As earlier versions planned, who did not know one file from another.
    for part in (store / "plan").iterdir():
        pq.write_table(pq.read_table(part).drop_columns(["file_size", "file_version", "edition"]), part)

    summary = extract(config)
    assert (summary.done, summary.failed, summary.exit_status) == (1, 3, 3)
    assert features(store).keys() == {"good"}
    assert failures(store) == {"stalls": "timeout", "stalls_later": "timeout", "bomb": "out_of_memory"}


def test_every_one_of_300_mutated_files_is_done_or_accounted_for(tmp_path: Path) -> None:
    archive = mutate_archive(tmp_path / "videos", mutations=300, seed=7)
    config = settings(archive.folder, tmp_path / "store", "chunk_frames=12", "decode.chunks_per_task=16")
    summary = extract(config)
    assert (summary.total, summary.exit_status) == (300 + len(archive.good), 3)
    found, lost = features(tmp_path / "store"), failures(tmp_path / "store")
    assert found.keys() | lost.keys() == archive.mutated | archive.good.keys()
    assert not found.keys() & lost.keys()
    assert (summary.done, summary.failed) == (len(found), len(lost))
    for video_id, path in archive.good.items():
        assert (found[video_id] == extract_here(config, path)).all()
    assert 60 < len(lost) < 270  # some damage is to the header, some the decoder conceals
    assert {"unreadable", "no_video_stream", "truncated", "decode_error"} <= set(lost.values())


def test_a_dry_run_tells_the_plan_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, store = tmp_path / "videos", tmp_path / "store"
    for index in range(3):
        encode_video(videos / f"clip_{index}.mp4", seconds=6, seed=index)
    (videos / "empty.mp4").touch()
    (videos / "text.mp4").write_text("not a video\n" * 100)

    plan = EXTRACT.run(settings(videos, store, "chunk_frames=16", "dry_run=true"))
    assert isinstance(plan, DryRun)
    assert (plan.videos, plan.to_do, plan.already_done, plan.failed) == (5, 3, 0, {"unreadable": 2})
    # 6 s at 8 frames a second, windows of 2 every 2 frames, 8 of them in a chunk
    assert (plan.chunks, plan.snippets) == (9, 72)
    assert plan.hours == pytest.approx(18 / 3600)
    assert plan.feature_bytes == 72 * 512 * 2
    assert plan.seconds is not None
    assert plan.seconds > 0
    assert not store.exists()

    done = run(videos / "clip_0.mp4", store, "chunk_frames=16")
    assert done.done == 1
    before = sorted((file, file.stat().st_mtime_ns) for file in store.rglob("*"))
    words = [f"videos={videos}", f"store={store}", *SETTINGS, "chunk_frames=16", "dry_run=true"]
    with pytest.raises(SystemExit) as ended:
        EXTRACT.main(words)
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for line in ("already done", "unreadable", "6 chunks", "estimated time"):
        assert line in printed
    assert sorted((file, file.stat().st_mtime_ns) for file in store.rglob("*")) == before
