"""raytad from Python: what a notebook does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import raytad
from pipeline.features.extraction.here import LocalExtractor
from pipeline.features.sources import VideoSource
from pipeline.inference.video_detector import VideoDetector
from pipeline.segments.schema import SEGMENTS_SCHEMA
from tests.raytad.trained import LABELS, save_run
from tests.videos import encode_audio, encode_video


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode_video(tmp_path_factory.mktemp("clips") / "my clip [1].mp4", seconds=12.0, seed=1)


def test_a_run_is_a_function_of_videos_and_of_stores(run: str, clip: Path, tmp_path: Path) -> None:
    detect = raytad.load(run)
    assert detect.labels == LABELS
    found = detect(clip)
    assert found.schema == SEGMENTS_SCHEMA
    assert set(found["video_id"].to_pylist()) == {"my clip [1]"}
    assert pc.max(found["t_end"]).as_py() <= 12.0
    scores = found["score"].to_pylist()
    assert scores == sorted(scores, reverse=True)
    # The same features in a store, cut into other chunks, are the same segments.
    inner = detect._detector
    extractor = LocalExtractor.load(
        inner._extractor.config.model_copy(update={"chunk_frames": 16}),
        inner._extractor.spec,
        inner._extractor.inputs,
    )
    store = extractor.extract(str(tmp_path / "store"), VideoSource("my clip [1]", str(clip)))
    assert len(store.index()["my clip [1]"].chunks) > 3
    assert detect(store).equals(found)
    assert detect(tmp_path / "store").equals(found)
    opened = raytad.open_store(tmp_path / "store")
    assert opened.load("my clip [1]").shape == (24, opened.spec.dim)


def test_figures_and_tables_of_segments(run: str, clip: Path, tmp_path: Path) -> None:
    found = raytad.load(run)(clip)
    pq.write_table(found, tmp_path / "segments.parquet")
    again = raytad.segments(tmp_path / "segments.parquet")
    assert again.to_pylist() == found.to_pylist()
    figure = raytad.timelines(again, min_score=0.0)
    assert figure.get_size_inches()[0] > 1
    annotations = tmp_path / "truth.json"
    annotations.write_text(
        '{"database": {"my clip [1]": {"subset": "test", "duration": 12.0, '
        '"annotations": [{"label": "run", "segment": [1.0, 4.0]}]}}}'
    )
    truth = raytad.truth(annotations, subset="test")
    assert truth.videos.num_rows == 1
    raytad.timelines(again, truth, videos=["my clip [1]"])
    with pytest.raises(raytad.InputError, match="'another' is none of the 1 videos"):
        raytad.timelines(again, truth, videos=["another"])


def test_what_cannot_be_detected_is_told_in_a_line(run: str, clip: Path, tmp_path: Path) -> None:
    detect = raytad.load(run)
    (tmp_path / "broken.mp4").write_bytes(b"junk")
    with pytest.raises(raytad.InputError, match=r"broken\.mp4: .*\(unreadable\)"):
        detect(tmp_path / "broken.mp4")
    encode_audio(tmp_path / "audio.mp4")
    with pytest.raises(raytad.InputError, match=r"audio\.mp4: .*\(no_video_stream\)"):
        detect(tmp_path / "audio.mp4")
    with pytest.raises(raytad.InputError, match="not found"):
        detect(tmp_path / "nothing.mp4")
    with pytest.raises(raytad.InputError, match="give either"):
        raytad.load()
    with pytest.raises(raytad.InputError, match="no complete checkpoint"):
        raytad.load(tmp_path)
    imported = raytad.load(save_run(tmp_path / "imported", with_recipe=False))
    with pytest.raises(raytad.InputError, match="was trained on imported features"):
        imported(clip)


def test_weights_that_changed_are_noticed(run: str, clip: Path) -> None:
    detector = VideoDetector.load(run)
    tree = dict(detector.info.recipe or {})
    tree["backbone"] = tree["backbone"] | {"seed": 7}  # other random weights
    object.__setattr__(detector.info, "recipe", tree)
    with pytest.raises(raytad.InputError, match="was trained on other features than its recipe makes here"):
        detector.detect(VideoSource("v", str(clip)))


def test_importing_the_door_loads_neither_torch_nor_ray() -> None:
    code = "import raytad, sys; assert not {'torch', 'ray', 'pyarrow'} & set(sys.modules); raytad.__version__"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_features_are_those_of_the_network(run: str, clip: Path, tmp_path: Path) -> None:
    """No two snippets of a moving picture are alike, and none is a number that is none."""
    inner = VideoDetector.load(run)
    inner.load_backbone()
    assert inner._extractor is not None
    seen: list[tuple[float, float]] = []
    store = inner._extractor.extract(
        str(tmp_path / "store"), VideoSource("v", str(clip)), lambda done, of: seen.append((done, of))
    )
    features = store.load("v")
    assert np.isfinite(features).all()
    assert len(np.unique(features, axis=0)) == len(features)
    assert seen[-1] == pytest.approx((12.0, 12.0))
