"""A backbone with every stage, decoding, flow and two networks, on a real Ray."""

from pathlib import Path

import pytest

from pipeline.compose import compose_config
from pipeline.config import ExtractConfig
from pipeline.features.extraction import extract
from pipeline.features.store import FeatureStore
from tests.pipeline.features.chain import extract_here
from tests.videos import encode_audio, encode_video


@pytest.mark.usefixtures("ray_local")
def test_two_stream_extraction_end_to_end(tmp_path: Path) -> None:
    videos, store = tmp_path / "videos", tmp_path / "store"
    good = encode_video(videos / "good.mp4", seconds=5, fps=16, seed=1)
    encode_audio(videos / "audio.mp4")
    words = ["backbone=tiny_i3d", "chunk_frames=16", "decode.cpus=0.5", "flow.cpus=0.5", "embed.cpus=0.5"]
    config = compose_config("extract", ExtractConfig, [f"videos={videos}", f"store={store}", *words])
    summary = extract(config)
    assert (summary.done, summary.failed) == (1, 1)
    opened = FeatureStore(str(store))
    # 40 frames at 8 a second, windows of 8 every 4 frames, in chunks of 3 snippets
    assert opened.load("good").shape == (9, 2048)
    assert (opened.load("good") == extract_here(config, good)).all()
    assert opened.spec.preprocessing["flow"]["algorithm"] == "tvl1"
