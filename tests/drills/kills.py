"""`kill -9` at random moments of extraction, prediction and labelling: nothing lost, nothing doubled.

Run by `make drill`, on a local disk and on a real S3 server; takes minutes.
"""

import random
import subprocess
import time
from pathlib import Path

import pytest

from pipeline import storage
from tests.drills.processes import (
    EXTRACT,
    LABEL,
    PREDICT,
    TRAIN,
    Job,
    assert_equal_predictions,
    assert_equal_stores,
    render,
    write_training_set,
)
from tests.jobs.commands import SMALL_RAY
from tests.raytad.trained import save_run

_KILLS, _KILLS_OF_LABEL = 6, 10
# Rounds of about a video each, so that kills meet all that lies between them.
_SMALL_ROUNDS = f"round_gb={48 * 256 * 2 / 2**30}"


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "killed")
    return f"{request.getfixturevalue('s3_server')}/kills-{tmp_path.name}"


def _kill_again_and_again(
    folder: Path,
    moments: random.Random,
    verb: str,
    words: list[str],
) -> int:
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


@pytest.mark.parametrize("seed", [3])
def test_killed_labellings_end_in_the_same_segments_and_keep_no_features(
    tmp_path: Path, root: str, seed: int
) -> None:
    videos, run = render(tmp_path / "videos"), save_run(tmp_path / "run")
    apart = [f"store={tmp_path}/store", *SMALL_RAY]
    features = [
        "backbone=tiny",
        "timeline.fps=8",
        "timeline.stride=4",
        "timeline.window=4",
        "chunk_frames=16",
    ]
    for verb, words in (
        ("extract", [f"videos={videos}", *apart, *features]),
        ("predict", [f"run={run}", *apart, f"out={tmp_path}/apart"]),
    ):
        job = Job(tmp_path, verb, *words)
        assert job.wait() == 0, job.said
    words = [f"videos={videos}", f"run={run}", "chunk_frames=16", _SMALL_ROUNDS, *LABEL]
    begun = time.monotonic()
    whole = Job(tmp_path, "label", *words, f"out={tmp_path}/whole")
    assert whole.wait() == 0, whole.said
    seconds = time.monotonic() - begun
    assert_equal_predictions(f"{tmp_path}/whole", f"{tmp_path}/apart")
    moments, killed, folders = random.Random(seed), 0, 0
    while killed < _KILLS_OF_LABEL:  # each folder takes as many kills as it takes until all is done in it
        folders += 1
        out = f"{root}-{folders}"
        killed += _kill_until_done(tmp_path, moments, [*words, f"out={out}"], (seconds / 8, seconds / 2))
        assert_equal_predictions(out, f"{tmp_path}/apart")
        assert not [file.url for file in storage.list_files(out) if "/extraction/features/" in file.url]
    print(f"label on {root}: killed {killed} times until {folders} folders were done")


def _kill_until_done(
    folder: Path, moments: random.Random, words: list[str], within: tuple[float, float]
) -> int:
    """Start the job again and again, killed at random moments, until it ends by itself. Returns the number of kills."""
    killed = 0
    while True:
        job = Job(folder, "label", *words)
        try:
            status = job.process.wait(moments.uniform(*within))
        except subprocess.TimeoutExpired:
            job.kill()
            killed += 1
        else:
            assert status == 0, job.said[-3000:]
            assert "Traceback" not in job.said
            return killed
