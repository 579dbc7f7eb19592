"""Extraction with every kind of backbone on a real Ray: bit for bit the same however a video is cut."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.compose import compose_config
from pipeline.config import ExtractConfig
from pipeline.features.extraction import extract
from pipeline.features.store import FeatureStore
from tests.videos import encode_video

pytestmark = pytest.mark.usefixtures("ray_local")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    encode_video(folder / "long.mp4", seconds=10.2, fps=16, seed=1)
    encode_video(folder / "blink.mp4", seconds=0.2, seed=3)
    return folder


def features(archive: Path, store: Path, *words: str) -> dict[str, np.ndarray]:
    overrides = [f"videos={archive}", f"store={store}", "decode.cpus=0.5", "embed.cpus=0.5", "flow.cpus=0.5"]
    summary = extract(compose_config("extract", ExtractConfig, [*overrides, *words]))
    assert (summary.done, summary.failed) == (2, 0)
    opened = FeatureStore(str(store))
    return {video_id: opened.load(video_id) for video_id in opened.index()}


def test_two_streams_are_the_two_networks_side_by_side_however_cut(archive: Path, tmp_path: Path) -> None:
    cut = ["chunk_frames=64", "decode.chunks_per_task=1", "embed.chunks_per_batch=3"]
    both = features(archive, tmp_path / "whole", "backbone=tiny_i3d", "chunk_frames=512")
    again = features(archive, tmp_path / "cut", "backbone=tiny_i3d", *cut)
    rgb = features(
        archive, tmp_path / "rgb", "backbone=tiny_i3d", "backbone.streams=rgb", "backbone.flow_weights=null", *cut
    )
    flow = features(
        archive,
        tmp_path / "flow",
        "backbone=tiny_i3d",
        "backbone.streams=flow",
        "backbone.flow_weights=null",
        "backbone.seed=1",  # the seed of a two-stream network's second half
        *cut,
    )
    # 10.2 s at 8 frames a second are 82 frames; windows of 8 every 4 frames: (82 - 8) // 4 + 1
    assert {video_id: values.shape for video_id, values in both.items()} == {
        "long": (19, 2048),
        "blink": (1, 2048),
    }
    for video_id, values in both.items():
        assert (values == again[video_id]).all()
        assert (values[:, :1024] == rgb[video_id]).all()
        assert (values[:, 1024:] == flow[video_id]).all()
    assert len(np.unique(both["long"][:, 1024:], axis=0)) == 19


def test_a_video_network_and_exact_pictures_however_cut(archive: Path, tmp_path: Path) -> None:
    words = [
        "backbone=r2plus1d",
        "backbone.weights=random",
        "backbone.image_size=32",
        "backbone.batch_size=3",
        "backbone.frames_per_snippet=4",
        "backbone.resize=exact",
        "timeline.stride=5",
        "timeline.window=8",
    ]
    whole = features(archive, tmp_path / "whole", *words, "chunk_frames=512")
    cut = features(archive, tmp_path / "cut", *words, "chunk_frames=16")
    assert whole["long"].shape == ((10 * 15 + 3 - 8) // 5 + 1, 512)
    assert all((whole[video_id] == cut[video_id]).all() for video_id in whole)
