"""A job that is told to end does so in a line, with its Ray, and the same command goes on."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.commands import SMALL_RAY, heeding_interrupts, job_command, run_job
from tests.videos import encode_video


def processes_of(session: str) -> list[str]:
    """Command lines of the processes of a Ray session that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(session in word for word in words):
            found.append(" ".join(words)[:100])
    return found


@pytest.fixture
def ray_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="ray-")  # short, for the names of sockets have a limit
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def stop_in_the_middle(folder: Path, ray_folder: str, name: str) -> list[str]:
    """Extract until the first file is written, send the signal, and see that it ends in a line and leaves no process.

    Returns the words of the job.
    """
    for index in range(2):
        encode_video(folder / "clips" / f"{index}.mp4", seconds=24, fps=12, size=(64, 48), seed=index)
    store = folder / "store"
    words = [
        f"videos={folder}/clips",
        f"store={store}",
        "backbone=tiny",
        "chunk_frames=8",
        "embed.cpus=0.5",
        *SMALL_RAY,
    ]
    command = heeding_interrupts(job_command("extract", *words))
    with open(folder / "stderr", "wb") as stderr, open(folder / "stdout", "wb") as stdout:
        process = subprocess.Popen(
            command, stdout=stdout, stderr=stderr, cwd=folder, env=os.environ | {"RAY_TMPDIR": ray_folder}
        )
    for _ in range(2400):
        committed = [f for f in (store / "checkpoint").glob("*.parquet") if "pending" not in f.name]
        if committed or process.poll() is not None:
            break
        time.sleep(0.1)
    assert process.poll() is None, "the job ended before it could be told to"
    process.send_signal(signal.Signals[name])

    assert process.wait(timeout=120) == 128 + signal.Signals[name]
    told = (folder / "stderr").read_text() + (folder / "stdout").read_text()
    assert f"({name}); the same command continues where it stopped" in told.splitlines()[-1]
    assert "Traceback" not in told
    assert "received at time" not in told
    assert "    @  " not in told
    for _ in range(300):
        if not (left := processes_of(ray_folder)):
            break
        time.sleep(0.1)
    assert left == []
    return words


def test_ctrl_c_ends_a_job_in_one_line(tmp_path: Path, ray_folder: str) -> None:
    stop_in_the_middle(tmp_path, ray_folder, "SIGINT")


def test_sigterm_ends_a_job_in_one_line_and_the_command_continues(tmp_path: Path, ray_folder: str) -> None:
    words = stop_in_the_middle(tmp_path, ray_folder, "SIGTERM")
    again = run_job("extract", *words)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "2 videos" in again.stdout
