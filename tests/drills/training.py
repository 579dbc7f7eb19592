"""Training whose worker, driver and upload are killed, whose server goes away, and whose workers change in number.

Run by `make drill`, on a local disk and on a real S3 server; takes minutes.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline import storage
from tests.drills.processes import TRAIN, Job, write_training_set
from tests.outage import relayed

# Dropout, so that what is random must be drawn again as it was.
_EPOCHS = 30
_WORDS = [
    *TRAIN, f"optimiser.epochs={_EPOCHS}", "optimiser.batch_size=4", "model.dropout=0.1", "optimiser.ema_decay=0.99",
    "normalise=standardise", "checkpoint_minutes=0.01", "checkpoint_every=3",
]  # fmt: skip


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    return write_training_set(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def whole(given: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The last checkpoint of a run that nothing has stopped."""
    folder = tmp_path_factory.mktemp("whole")
    job = Job(folder, "train", *given, f"run={folder}/run", *_WORDS)
    assert job.wait() == 0, job.said
    return tensors(f"{folder}/run")


def tensors(run: str) -> dict[str, bytes]:
    """The files of tensors of a run's last epoch."""
    folder = f"{run}/checkpoints/epoch_{_EPOCHS:05d}"
    return {name: storage.read_bytes(f"{folder}/{name}.safetensors") for name in ("model", "optimiser")}


def steps_checkpointed(run: str) -> int:
    """How many checkpoints there are to see, whole or begun."""
    return len({file.url.split("/checkpoints/")[1].split("/")[0] for file in _files(run)})


def newest(run: str) -> str:
    """The name of the newest checkpoint that is whole; empty where there is none."""
    names = [file.url.split("/")[-2] for file in _files(run) if file.url.endswith("/checkpoint.json")]
    return max(names, default="")


def _until_it_gets_on(job: Job, run: str, moments: random.Random) -> None:
    """Wait for two newer checkpoints of this job's own, and a moment more."""
    # Workers of a killed driver write on for some seconds; this job's are there later.
    until(job, lambda: ", loss " in job.said or "starting workers" in job.said)
    for _ in range(2):
        before = newest(run)
        until(job, lambda: newest(run) > before)  # noqa: B023
    time.sleep(moments.uniform(0, 0.5))


def is_uploading(run: str) -> bool:
    """Whether a checkpoint has been begun and is not whole."""
    names = {tuple(file.url.split("/checkpoints/")[1].split("/")) for file in _files(run)}
    folders = {folder for folder, *_ in names}
    return any((folder, "checkpoint.json") not in names for folder in folders)


def _files(run: str) -> list[storage.StoredFile]:
    return [file for file in storage.list_files(f"{run}/checkpoints") if "/checkpoints/" in file.url]


def until(job: Job, condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert job.process.poll() is None, f"ended before it could be stopped\n{job.said}"
        assert time.monotonic() < deadline, job.said
        time.sleep(0.02)


def kill_worker(job: Job) -> None:
    """`kill -9` of the process that trains."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if title.startswith("ray::RayTrainWorker") and job.mark.encode() in environment:
            os.kill(int(folder.name), signal.SIGKILL)
            return
    raise AssertionError(f"no worker was found\n{job.said}")


@pytest.fixture(params=["local", "s3"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "run")
    return f"{request.getfixturevalue('s3_server')}/trained-{tmp_path.name}"


def test_a_run_whose_worker_driver_and_upload_are_killed_ends_like_one_that_was_not(
    tmp_path: Path, given: Sequence[str], whole: dict[str, bytes], run: str
) -> None:
    words = [*given, f"run={run}", *_WORDS]
    moments = random.Random(1)
    job = Job(tmp_path, "train", *words)
    _until_it_gets_on(job, run, moments)
    kill_worker(job)
    _until_it_gets_on(job, run, moments)  # by another worker
    job.kill()

    job = Job(tmp_path, "train", *words)
    _until_it_gets_on(job, run, moments)
    job.kill()

    job = Job(tmp_path, "train", *words)
    _until_it_gets_on(job, run, moments)
    until(job, lambda: is_uploading(run))
    kill_worker(job)
    job.kill()
    print("killed with a checkpoint half written:", is_uploading(run))

    job = Job(tmp_path, "train", *words)
    assert job.wait() == 0, job.said
    assert "from its step" in job.said
    assert tensors(run) == whole
    sittings = json.loads(storage.read_bytes(f"{run}/provenance.json"))["sittings"]
    assert len(sittings) == 4
    assert not is_uploading(run)  # what the kill had left is gone


def test_a_job_that_is_told_to_end_leaves_a_checkpoint_of_its_last_step(
    tmp_path: Path, given: Sequence[str], whole: dict[str, bytes], run: str
) -> None:
    words = [*given, f"run={run}", *_WORDS, "checkpoint_minutes=null", "checkpoint_every=1000"]
    job = Job(tmp_path, "train", *words)
    until(job, lambda: storage.exists(f"{run}/epochs.jsonl"))
    job.process.send_signal(signal.SIGTERM)
    assert job.wait(120) == 128 + signal.SIGTERM
    assert "Traceback" not in job.said
    assert "no checkpoint was written" not in job.said
    assert steps_checkpointed(run) == 1

    job = Job(tmp_path, "train", *words)
    assert job.wait() == 0, job.said
    assert tensors(run) == whole


def test_a_server_that_is_away_for_ten_seconds_costs_ten_seconds(
    tmp_path: Path, s3_server: str, whole: dict[str, bytes]
) -> None:
    """Store, annotations and run on the server."""
    root = f"{s3_server}/away-{tmp_path.name}"
    run = f"{root}/run"
    words = [*write_training_set(root), f"run={run}", *_WORDS]
    with relayed(os.environ["AWS_ENDPOINT_URL"]) as relay:
        # Features do not stay in memory, so that reading meets the outage as well as writing.
        environment = {"AWS_ENDPOINT_URL": relay.endpoint, "AWS_MAX_ATTEMPTS": "1"}
        job = Job(tmp_path, "train", *words, "cache_mb=0.001", **environment)
        until(job, lambda: steps_checkpointed(run) > 0)
        relay.away_for(10)
        assert job.wait() == 0, job.said
    assert "answers again after" in job.said
    assert "Traceback" not in job.said
    assert tensors(run) == whole
