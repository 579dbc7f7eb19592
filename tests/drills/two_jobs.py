"""Two submissions of a job at once: the second is refused, nothing is lost or doubled, and a killed owner gives way.

Run by `make drill`; takes minutes.
"""

import time
from pathlib import Path

import numpy as np
import pytest

from tests.drills.processes import (
    EXTRACT,
    PREDICT,
    TRAIN,
    Job,
    assert_equal_predictions,
    assert_equal_stores,
    render,
    write_training_set,
)
from tests.jobs.commands import SMALL_RAY

_TIMES = 3


def _two_at_once(folder: Path, verb: str, words: list[str], delay: float) -> None:
    """Start a job twice; exactly one is refused, in one line, and the other ends well."""
    first = Job(folder, verb, *words)
    time.sleep(delay)
    second = Job(folder, verb, *words)
    statuses = {job: job.wait() for job in (second, first)}
    said = "".join(job.said for job in statuses)
    assert sorted(statuses.values()) == [0, 2], said[-3000:]
    [refused] = [job for job, status in statuses.items() if status == 2]
    assert f"is being written by {verb} (process " in refused.said
    assert "Traceback" not in refused.said


def _owner_killed(folder: Path, verb: str, words: list[str]) -> None:
    """The lease of a killed job goes to the next."""
    owner = Job(folder, verb, *words)
    time.sleep(8)
    owner.kill()
    heir = Job(folder, verb, *words)
    assert heir.wait() == 0, heir.said[-3000:]


@pytest.mark.parametrize("delay", [0.0, 0.5, 3.0])
def test_extract(tmp_path: Path, delay: float) -> None:
    videos = render(tmp_path / "videos", seconds=8)
    for store in ("first", "second"):
        words = [f"videos={videos}", f"store={tmp_path}/{store}", *EXTRACT]
        (
            _two_at_once(tmp_path, "extract", words, delay)
            if store == "first"
            else _owner_killed(tmp_path, "extract", words)
        )
    assert_equal_stores(f"{tmp_path}/first", f"{tmp_path}/second")


@pytest.mark.parametrize("delay", [0.0, 0.5, 3.0])
def test_import(tmp_path: Path, delay: float) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "source").mkdir()
    for number in range(20):
        np.save(tmp_path / "source" / f"{number}.npy", rng.normal(size=(60, 8)).astype(np.float32))
    given = [
        "name=net",
        "timeline.fps=8",
        "timeline.stride=2",
        "timeline.window=2",
        "chunk_snippets=16",
        *SMALL_RAY,
    ]
    for store in ("first", "second"):
        words = [f"source={tmp_path}/source", f"store={tmp_path}/{store}", *given]
        if store == "first":
            _two_at_once(tmp_path, "import_features", words, delay)
        else:
            _owner_killed(tmp_path, "import_features", words)
    assert_equal_stores(f"{tmp_path}/first", f"{tmp_path}/second")


@pytest.mark.parametrize("delay", [0.0, 0.5, 3.0])
def test_train_and_predict(tmp_path: Path, delay: float) -> None:
    given = write_training_set(tmp_path, videos=16)
    train = [*given, "optimiser.epochs=3", *TRAIN]
    _two_at_once(tmp_path, "train", [*train, f"run={tmp_path}/run"], delay)
    _owner_killed(tmp_path, "train", [*train, f"run={tmp_path}/other"])
    weights = [
        (tmp_path / run / "checkpoints" / "epoch_00003" / "model.safetensors").read_bytes()
        for run in ("run", "other")
    ]
    assert weights[0] == weights[1]
    predict = [f"run={tmp_path}/run", given[0], *PREDICT]
    _two_at_once(tmp_path, "predict", [*predict, f"out={tmp_path}/first"], delay)
    _owner_killed(tmp_path, "predict", [*predict, f"out={tmp_path}/second"])
    assert_equal_predictions(f"{tmp_path}/first", f"{tmp_path}/second")
