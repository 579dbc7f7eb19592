"""A job that is told to end does so in a line, with its Ray, and the same command goes on."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.commands import SMALL_RAY, job_command, run_job
from tests.videos import encode_video

# Background jobs of a shell ignore SIGINT, and so would a test's child that inherits that.
LISTENING = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


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


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_job_in_one_line_and_the_command_continues(
    tmp_path: Path, ray_folder: str, name: str
) -> None:
    for index in range(2):
        encode_video(tmp_path / "clips" / f"{index}.mp4", seconds=24, fps=12, size=(64, 48), seed=index)
    store = tmp_path / "store"
    words = [
        f"videos={tmp_path}/clips",
        f"store={store}",
        "backbone=tiny",
        "chunk_frames=8",
        "embed.cpus=0.5",
    ]
    command = [sys.executable, "-c", LISTENING, *job_command("extract", *words, *SMALL_RAY)]
    with open(tmp_path / "stderr", "wb") as stderr, open(tmp_path / "stdout", "wb") as stdout:
        process = subprocess.Popen(
            command, stdout=stdout, stderr=stderr, cwd=tmp_path, env=os.environ | {"RAY_TMPDIR": ray_folder}
        )
    for _ in range(2400):
        committed = [f for f in (store / "checkpoint").glob("*.parquet") if "pending" not in f.name]
        if committed or process.poll() is not None:
            break
        time.sleep(0.1)
    assert process.poll() is None, "the job ended before it could be told to"
    process.send_signal(signal.Signals[name])

    assert process.wait(timeout=120) == 128 + signal.Signals[name]
    told = (tmp_path / "stderr").read_text() + (tmp_path / "stdout").read_text()
    assert f"({name}); the same command continues where it stopped" in told.splitlines()[-1]
    assert "Traceback" not in told
    assert "received at time" not in told
    assert "    @  " not in told
    for _ in range(300):
        if not (left := processes_of(ray_folder)):
            break
        time.sleep(0.1)
    assert left == []

    if name == "SIGINT":
        return  # a store stopped so is no other than the one below
    again = run_job("extract", *words, *SMALL_RAY)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "2 videos" in again.stdout
