"""Twelve times `kill -9` at random moments of planning, extraction and prediction: nothing lost, nothing doubled.

Run by `make drill`, on a local disk and on a real S3 server; takes minutes.
"""

import random
import subprocess
from pathlib import Path

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

_KILLS = 6


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "killed")
    return f"{request.getfixturevalue('s3_server')}/kills-{tmp_path.name}"


def _kill_again_and_again(folder: Path, moments: random.Random, verb: str, words: list[str]) -> int:
    """Kill the job at random moments, then let it end. Returns how often it was still there to be killed."""
    killed = 0
    for _ in range(_KILLS):
        job = Job(folder, verb, *words)
        try:
            # From before the first file is written to after most are.
            job.process.wait(moments.uniform(3, 22))
        except subprocess.TimeoutExpired:
            job.kill()
            killed += 1
    last = Job(folder, verb, *words)
    assert last.wait() == 0, last.said[-3000:]
    assert "Traceback" not in last.said
    return killed


@pytest.mark.parametrize("seed", [1])
def test_killed_extractions_end_in_the_same_store(tmp_path: Path, root: str, seed: int) -> None:
    videos = render(tmp_path / "videos")
    whole = Job(tmp_path, "extract", f"videos={videos}", f"store={tmp_path}/whole", *EXTRACT)
    assert whole.wait() == 0, whole.said
    words = [f"videos={videos}", f"store={root}", *EXTRACT]
    killed = _kill_again_and_again(tmp_path, random.Random(seed), "extract", words)
    print(f"extract on {root}: killed {killed} times of {_KILLS}")
    assert killed
    assert_equal_stores(root, str(tmp_path / "whole"))


@pytest.mark.parametrize("seed", [2])
def test_killed_predictions_end_in_the_same_segments(tmp_path: Path, root: str, seed: int) -> None:
    given = write_training_set(tmp_path)
    run = Job(tmp_path, "train", *given, f"run={tmp_path}/run", "optimiser.epochs=1", *TRAIN)
    assert run.wait() == 0, run.said
    words = [f"run={tmp_path}/run", given[0], *PREDICT]
    whole = Job(tmp_path, "predict", *words, f"out={tmp_path}/whole")
    assert whole.wait() == 0, whole.said
    killed = _kill_again_and_again(tmp_path, random.Random(seed), "predict", [*words, f"out={root}"])
    print(f"predict on {root}: killed {killed} times of {_KILLS}")
    assert killed
    assert_equal_predictions(root, str(tmp_path / "whole"))
