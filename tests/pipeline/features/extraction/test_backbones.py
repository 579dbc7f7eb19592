"""Backbones with every stage, decoding, flow and two networks, on a real Ray."""

from pathlib import Path

import pytest

from pipeline.compose import compose_config
from pipeline.features.extraction.dry_run import rehearse
from pipeline.features.extraction.run import extract
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.store import FeatureStore
from tests.pipeline.features.chain import extract_here
from tests.videos import encode_audio, encode_video

pytestmark = pytest.mark.usefixtures("ray_local")


def settings(folder: Path, *words: str) -> ExtractConfig:
    shares = ["decode.cpus=0.5", "flow.cpus=0.5", "embed.cpus=0.5"]
    given = [f"videos={folder / 'videos'}", f"store={folder / 'store'}", "backbone=tiny_i3d", *shares]
    return compose_config("extract", ExtractConfig, [*given, *words])


def test_two_stream_extraction_end_to_end(tmp_path: Path) -> None:
    good = encode_video(tmp_path / "videos" / "good.mp4", seconds=3, fps=16, seed=1)
    encode_audio(tmp_path / "videos" / "audio.mp4")
    config = settings(tmp_path, "chunk_frames=16")
    plan = rehearse(config)
    assert (plan.to_do, plan.failed, plan.snippets) == (1, {"no_video_stream": 1}, 5)
    # Of four CPUs the backbone takes a half, and tasks of either kind have the rest.
    assert [(w.stage, w.unit, w.count) for w in plan.workers] == [
        ("decoding", "tasks", 7),
        ("optical flow", "tasks", 7),
        ("backbone", "actors", 1),
    ]
    assert plan.sample is not None
    assert all(plan.sample.seconds[workers.stage] > 0 for workers in plan.workers)

    summary = extract(config)
    assert (summary.done, summary.failed) == (1, 1)
    opened = FeatureStore(config.store)
    # 24 frames at 8 a second, windows of 8 every 4 frames, in chunks of 3 snippets
    assert opened.load("good").shape == (5, 2048)
    assert (opened.load("good") == extract_here(config, good)).all()
    assert opened.spec.preprocessing["flow"]["algorithm"] == "tvl1"


def test_raft_in_actors_of_its_own(tmp_path: Path) -> None:
    video = encode_video(tmp_path / "videos" / "v.mp4", seconds=1.2, fps=8)
    config = settings(
        tmp_path,
        "backbone.streams=flow", "backbone.flow_weights=null", "backbone.image_size=112",
        "timeline.window=4", "timeline.stride=2", "backbone.frames_per_snippet=2", "chunk_frames=4",
        "flow.algorithm=raft_small", "flow.weights=random", "flow.updates=1", "flow.batch_size=2",
    )  # fmt: skip
    assert extract(config).done == 1
    features = FeatureStore(config.store).load("v")
    assert features.shape == (4, 1024)  # 10 frames
    assert (features == extract_here(config, video)).all()
