"""Real runs of point detectors: crops of training videos, a moving average, and a run that goes on where it stood."""

import json
from pathlib import Path

import pytest

from pipeline.compose import compose_config
from pipeline.inference.predict import predict
from pipeline.inference.settings import PredictConfig
from pipeline.segments.read import read_segments
from pipeline.training.run import train
from pipeline.training.settings import TrainConfig
from tests.pipeline.training.conftest import VIDEOS

TINY = {
    "actionformer": ["model=actionformer_tiny", "model.dim=16", "model.ffn_dim=16", "model.drop_path=0.1"],
    "tridet": ["model=tridet_tiny", "model.dim=16", "model.ffn_dim=16", "model.drop_path=0.1"],
}


def run(archive: Path, folder: Path, detector: str, epochs: int) -> list[dict[str, float]]:
    """The history of a run of so many epochs, or that goes on to so many."""
    words = [
        f"run={folder}", f"store={archive / 'store'}", f"dataset.annotations={archive / 'truth.json'}",
        *TINY[detector], "windows.mode=whole", "windows.crop=40", "windows.min_visible=0.5", "optimiser.lr=1e-3",
        f"optimiser.epochs={epochs}", "optimiser.warmup_epochs=1", "optimiser.cosine_epochs=4",
        "optimiser.batch_size=2", "optimiser.decay_on=weights", "optimiser.ema_decay=0.9", "optimiser.ema_ramp=false",
        "validate_every=2", "checkpoint_every=1",
    ]  # fmt: skip
    train(compose_config("train", TrainConfig, words))
    return json.loads((folder / "metrics.json").read_text())["history"]


@pytest.mark.parametrize("detector", TINY)
def test_a_run_that_went_on_is_one_that_never_stopped(
    archive: Path, ray_local: None, tmp_path: Path, detector: str
) -> None:
    whole = run(archive, tmp_path / "whole", detector, 4)
    run(archive, tmp_path / "parts", detector, 2)
    parts = run(archive, tmp_path / "parts", detector, 4)
    for one, other in zip(whole, parts, strict=True):
        for name in ("total", "class", "regression", "lr"):
            assert other[name] == pytest.approx(one[name], rel=1e-5), (one["epoch"], name)
    assert parts[-1]["det_map"] == pytest.approx(whole[-1]["det_map"], abs=1e-5)


def test_what_is_trained_predicts(archive: Path, ray_local: None, tmp_path: Path) -> None:
    run(archive, tmp_path / "run", "actionformer", 2)
    out = tmp_path / "out"
    words = [f"run={tmp_path / 'run'}", f"store={archive / 'store'}", f"out={out}", "merge.voting_tiou=0.7"]
    predict(compose_config("predict", PredictConfig, words))
    found = read_segments(str(out))
    assert found.num_rows
    assert set(found["video_id"].to_pylist()) <= {video.video_id for video in VIDEOS}
