"""jobs/train.py as its user meets it: object storage that is away for a while in the middle of a run.

And as a researcher does, from a folder with packages of the same names as ours.
"""

import json
import os
import subprocess
import time
from pathlib import Path

from pipeline import storage
from tests.jobs.commands import SMALL_RAY, job_command, with_packages_of_our_names
from tests.outage import relayed
from tests.pipeline.synthetic import TINY_MODEL, make_videos, write_annotations, write_store

_EPOCHS = 40


def words(folder: Path, run: str) -> list[str]:
    return [
        f"run={run}", f"store={folder / 'store'}", f"dataset.annotations={folder / 'truth.json'}",
        *(f"model.{key}={value}" for key, value in TINY_MODEL.items()),
        "windows.length=32", "windows.train_step=16", "windows.test_step=16", "validate_every=0",
        f"optimiser.epochs={_EPOCHS}", *SMALL_RAY,
    ]  # fmt: skip


def test_a_run_outlasts_its_storage(tmp_path: Path, s3_server: str) -> None:
    videos = make_videos(6, "train", seed=1)
    write_store(str(tmp_path / "store"), videos)
    write_annotations(str(tmp_path / "truth.json"), videos)
    run, output = f"{s3_server}/outage-{tmp_path.name}", tmp_path / "output.txt"
    with relayed(os.environ["AWS_ENDPOINT_URL"]) as relay, output.open("wb") as log:
        job = subprocess.Popen(
            job_command("train", *words(tmp_path, run)),
            cwd=with_packages_of_our_names(tmp_path / "research"),
            env=os.environ | {"AWS_ENDPOINT_URL": relay.endpoint, "AWS_MAX_ATTEMPTS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            while not storage.exists(f"{run}/checkpoints/epoch_00001/checkpoint.json") and job.poll() is None:
                time.sleep(0.05)
            relay.up = False
            # The client's own tries are used up by then; a line of the job says so.
            while "does not answer" not in output.read_text() and job.poll() is None:
                time.sleep(0.05)
            relay.up = True
            status = job.wait(timeout=300)
        finally:
            job.kill()
    said = output.read_text()
    assert status == 0, said[-3000:]
    assert "answers again after" in said
    assert "Traceback" not in said
    metrics = json.loads(storage.read_bytes(f"{run}/metrics.json"))
    assert [figures["epoch"] for figures in metrics["history"]] == list(range(1, _EPOCHS + 1))
    assert storage.list_files(f"{run}/tensorboard")
