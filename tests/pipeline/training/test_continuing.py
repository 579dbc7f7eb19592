"""Real runs by Ray Train: losses whoever shares the windows, and a run that is told to end within an epoch."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import stopping, storage
from pipeline.compose import compose_config
from pipeline.detector.checkpoint_search import last_checkpoint
from pipeline.training.run import train
from pipeline.training.settings import TrainConfig
from tests.pipeline.synthetic import TINY_MODEL

_STEPS = 20


def config(archive: Path, run: str | Path, **changes: object) -> TrainConfig:
    words = [
        f"run={run}", f"store={archive / 'store'}", f"dataset.annotations={archive / 'truth.json'}",
        *(f"model.{key}={value}" for key, value in ({**TINY_MODEL} | {"dropout": 0.1}).items()),
        "windows.length=32", "windows.train_step=8", "windows.test_step=16", "normalise=standardise",
        *(f"{key}={value}" for key, value in changes.items()),
    ]  # fmt: skip
    return compose_config("train", TrainConfig, words)


def history(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]


def test_losses_of_twenty_steps_are_those_of_one_worker(
    archive: Path, ray_local: None, tmp_path: Path
) -> None:
    # Of an epoch of one step the history has that step's loss, exactly and over all workers.
    given = {
        "optimiser.epochs": _STEPS, "optimiser.batch_size": 100, "optimiser.lr": 1e-3, "model.dropout": 0.0,
        "checkpoint_every": _STEPS, "validate_every": _STEPS,
    }  # fmt: skip
    train(config(archive, tmp_path / "one", **given))
    train(config(archive, tmp_path / "two", workers=2, **given, **{"optimiser.accumulate": 2}))
    one, two = history(tmp_path / "one"), history(tmp_path / "two")
    assert len(one) == len(two) == _STEPS
    for alone, shared in zip(one, two, strict=True):
        for name in ("total", "class", "l1", "tiou", "class_layer0"):
            assert shared[name] == pytest.approx(alone[name], rel=1e-4), (alone["epoch"], name)
    assert one[0]["total"] != pytest.approx(one[-1]["total"], rel=0.1)  # it has learnt meanwhile
    assert two[-1]["det_map"] == pytest.approx(one[-1]["det_map"], abs=0.01)
    assert two[-1]["det_map_0.5"] == pytest.approx(one[-1]["det_map_0.5"], abs=0.02)


@pytest.fixture
def told_to_end() -> Iterator[None]:
    """Signals as in a job's process, until the test is over."""
    stopping.arm("train")
    yield
    stopping.disarm()


def test_a_run_that_is_told_to_end_leaves_with_its_last_step(
    archive: Path, ray_local: None, tmp_path: Path, told_to_end: None
) -> None:
    given = {
        "optimiser.epochs": 60, "optimiser.batch_size": 4, "optimiser.ema_decay": 0.9, "checkpoint_every": 1000,
        "checkpoint_minutes": "null", "validate_every": 0,
    }  # fmt: skip
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"

    def end() -> None:
        while not (stopped / "epochs.jsonl").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end, daemon=True).start()
    with pytest.raises(KeyboardInterrupt) as ended:
        train(config(archive, stopped, **given))
    assert stopping.as_stopped(ended.value).status == 128 + signal.SIGTERM
    stopping.disarm()
    left = last_checkpoint(str(stopped))
    assert left is not None
    assert 1 <= left.progress.epoch < 60

    summary = train(config(archive, stopped, **given))
    assert (summary.already_done, summary.done) == (left.progress.epoch, 60 - left.progress.epoch)
    train(config(archive, whole, **given))
    for name in ("model", "optimiser"):
        files = [
            storage.read_bytes(f"{run}/checkpoints/epoch_00060/{name}.safetensors")
            for run in (stopped, whole)
        ]
        assert files[0] == files[1]
    for left_off, straight in zip(history(stopped), history(whole), strict=True):
        assert left_off["total"] == straight["total"]
    sittings = json.loads((stopped / "provenance.json").read_text())["sittings"]
    assert [(s["from_epoch"], s["from_step"]) for s in sittings] == [
        (1, 1), (left.progress.epoch + 1, left.progress.within + 1),
    ]  # fmt: skip
