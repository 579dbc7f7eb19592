"""Chunk invariance, bit for bit: features do not depend on how a video is cut, for every kind of backbone."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.compose import compose_config
from pipeline.features.extraction.settings import ExtractConfig
from tests.pipeline.features.chain import extract_here
from tests.videos import encode_video

RGB = ["backbone.streams=rgb", "backbone.flow_weights=null"]
FLOW = ["backbone.streams=flow", "backbone.flow_weights=null"]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # 103 frames at the 16 frames a second of the tests below: two chunks of 64 frames.
    return encode_video(tmp_path_factory.mktemp("videos") / "v.mp4", seconds=6.4, fps=24, seed=1)


def features(video: Path, chunk_frames: int, *words: str, batch: int = 2) -> np.ndarray:
    given = [
        "videos=/v",
        "store=/s",
        "timeline.fps=16",
        f"chunk_frames={chunk_frames}",
        f"embed.chunks_per_batch={batch}",
    ]
    return extract_here(compose_config("extract", ExtractConfig, [*given, *words]), video)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["backbone=tiny", "timeline.window=4", "backbone.frames_per_snippet=3"], id="clip"),
        pytest.param(["backbone=tiny", "backbone.resize=exact"], id="clip exact"),
        pytest.param(["backbone=tiny_i3d", *RGB, "timeline.stride=4"], id="i3d rgb"),
        pytest.param(["backbone=tiny_i3d", *FLOW, "timeline.stride=6"], id="i3d flow"),
        pytest.param(["backbone=tiny_i3d", *FLOW, "timeline.stride=13", "flow.rounding=false"], id="i3d flow, gaps"),
        pytest.param(
            ["backbone=r2plus1d", "backbone.weights=random", "backbone.image_size=32", "backbone.batch_size=3",
             "backbone.frames_per_snippet=4", "timeline.stride=5", "timeline.window=8"],
            id="r2plus1d",
        ),
    ],
)  # fmt: skip
def test_features_do_not_depend_on_the_chunks(video: Path, words: list[str]) -> None:
    whole = features(video, 512, *words)
    cut = features(video, 64, "decode.chunks_per_task=2", *words, batch=3)
    assert (whole == cut).all()
    assert len(np.unique(whole, axis=0)) == len(whole) > 6


def test_two_streams_are_the_two_networks_side_by_side(video: Path) -> None:
    both = features(video, 64, "backbone=tiny_i3d", "timeline.stride=12")
    rgb = features(video, 512, "backbone=tiny_i3d", "timeline.stride=12", *RGB)
    # Of a two-stream network with random weights the second has the next seed.
    flow = features(video, 512, "backbone=tiny_i3d", "timeline.stride=12", "backbone.seed=1", *FLOW)
    assert both.shape == (8, 2048)
    assert (both == np.concatenate([rgb, flow], axis=1)).all()
