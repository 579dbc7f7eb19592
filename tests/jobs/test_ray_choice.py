"""Which Ray a command takes, and how many slots it has: said in a line, and never one with which it would hang."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.jobs.commands import job_command

# Like `ray start --head`, but in a folder of its own (argv[1], which RAY_TMPDIR names), where plain commands find it.
HEAD = """
import ray, sys
from ray._private.utils import write_ray_address
ray.init(address="local", num_cpus=4, object_store_memory=100_000_000, include_dashboard=False)
write_ray_address(ray.get_runtime_context().gcs_address, sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def running_ray() -> Iterator[dict[str, str]]:
    """The environment of a machine on which a Ray runs, one that wants a token."""
    folder = tempfile.mkdtemp(prefix="ray-")  # short, for the names of sockets have a limit
    environment = os.environ | {"RAY_TMPDIR": folder, "RAY_AUTH_MODE": "disabled", "COLUMNS": "160"}
    environment |= {"RAY_AUTH_TOKEN": "a token of forty characters at the least"}
    environment.pop("RAY_ADDRESS", None)
    head = subprocess.Popen(
        [sys.executable, "-c", HEAD, f"{folder}/ray"],
        env=environment | {"RAY_AUTH_MODE": "token"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert head.stdout is not None
        assert any(line == b"ready\n" for line in head.stdout), "the Ray head ended"
        yield environment
    finally:
        assert head.stdin is not None
        head.stdin.close()
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)


def import_videos(folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = job_command(
        "import_features", f"source={folder}/source", f"store={folder}/store", "features=charades_i3d", *words
    )
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )


def add_videos(folder: Path, *names: str) -> None:
    (folder / "source").mkdir(exist_ok=True)
    for name in names:
        np.save(folder / "source" / f"{name}.npy", np.ones((30, 8), dtype=np.float32))


def test_a_ray_that_merely_runs_here_is_left_alone(running_ray: dict[str, str], tmp_path: Path) -> None:
    add_videos(tmp_path, "a")
    job = import_videos(tmp_path, running_ray, "ray.cpus=4", "ray.object_store_mb=100")
    assert job.returncode == 0, job.stderr[-3000:]
    assert "started a local Ray with 4 slots for CPUs; ray.address=auto joins one" in job.stderr
    assert "joined" not in job.stderr


def test_it_is_joined_where_the_command_says_so(running_ray: dict[str, str], tmp_path: Path) -> None:
    add_videos(tmp_path, "a")
    job = import_videos(tmp_path, running_ray, "ray.address=auto")
    assert job.returncode == 0, job.stderr[-3000:]
    assert "joined the Ray at auto (4 CPUs)" in job.stderr
    assert "started" not in job.stderr


def test_a_wrong_address_or_token_is_told_in_a_line(running_ray: dict[str, str], tmp_path: Path) -> None:
    add_videos(tmp_path, "a")
    for address, changes, line in (
        ("http://localhost:1", {}, "no Ray can be joined there (Invalid address format"),
        (
            "auto",
            {"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")},
            "this Ray wants a token",
        ),
        ("auto", {"RAY_AUTH_TOKEN": "another"}, "this Ray refuses the token of RAY_AUTH_TOKEN"),
    ):
        job = import_videos(tmp_path, running_ray | changes, f"ray.address={address}")
        assert job.returncode == 2
        assert job.stderr.splitlines()[-1].startswith(f"import_features: ray.address={address}: {line}")
        assert "Traceback" not in job.stderr


def test_a_resumed_job_has_the_slots_that_it_needs(running_ray: dict[str, str], tmp_path: Path) -> None:
    add_videos(tmp_path, "a")
    words = ("ray.cpus=1", "ray.object_store_mb=100")
    first = import_videos(tmp_path, running_ray, *words)
    assert first.returncode == 0, first.stderr[-3000:]
    add_videos(tmp_path, "b")
    second = import_videos(tmp_path, running_ray, *words)  # it also filters what is done
    assert second.returncode == 0, second.stderr[-3000:]
    assert "with 4 slots for CPUs, the fewest with which all stages of a job can run, not 1" in second.stderr
