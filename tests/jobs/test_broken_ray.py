"""A local Ray that cannot go on ends its job in a line, and the next run of the command continues."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tests.jobs.commands import REPOSITORY, SMALL_RAY, run_job

# The job of argv[1:], with the threshold of a full disk at argv[0] bytes, and with time for it to be noticed.
PROGRAM = """
import runpy, sys, time
import pipeline.cluster.watch as ray_watch
import pipeline.features.published.importing as importing
from pipeline import screen
ray_watch._ROOM_TO_GO_ON = int(sys.argv.pop(1))
def waiting(*arguments):
    screen.terminal().print("running")
    time.sleep(120)
importing._run_graph = waiting
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def start(folder: Path, room: int) -> subprocess.Popen[str]:
    source = folder / "source"
    source.mkdir()
    np.save(source / "a.npy", np.ones((30, 8), dtype=np.float32))
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(room), f"{REPOSITORY}/jobs/import_features.py", *words(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip


def words(folder: Path) -> list[str]:
    return [f"source={folder}/source", f"store={folder}/store", "features=charades_i3d", *SMALL_RAY]


def test_a_full_disk_under_rays_folder_ends_the_job(tmp_path: Path) -> None:
    job = start(tmp_path, 2**60)
    _, stderr = job.communicate(timeout=110)
    assert job.returncode == 1
    last = stderr.splitlines()[-1]
    assert re.match(
        r"import_features: the disk of Ray's temporary folder .* is full \(\d+ MiB free\): ", last
    )
    assert last.endswith("; the same command continues where it stopped")
    assert "Traceback" not in stderr
    assert run_job("import_features", *words(tmp_path)).returncode == 0


def test_a_raylet_that_dies_ends_the_job(tmp_path: Path) -> None:
    job = start(tmp_path, 0)
    assert job.stdout is not None
    assert any(line == "running\n" for line in job.stdout)
    os.kill(raylet_of(job.pid), signal.SIGKILL)
    _, stderr = job.communicate(timeout=110)
    assert job.returncode == 1
    expected = "import_features: Ray's own process on this machine died (raylet); the same command continues"
    assert stderr.splitlines()[-1].startswith(expected)
    assert "Traceback" not in stderr


def raylet_of(driver: int) -> int:
    for _ in range(100):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                name = (folder / "comm").read_text().strip()
            except OSError:
                continue
            if parent == driver and name == "raylet":
                return int(folder.name)
        time.sleep(0.1)
    raise AssertionError("the job has no raylet")
