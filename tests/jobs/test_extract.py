"""jobs/extract.py as its user meets it: from any folder, killed and run again, submitted to a cluster."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs.commands import REPOSITORY, job_command, run_job, shared_ray
from tests.videos import encode_video

# A head like that of `ray start`, which only `ray stop` could end, and with it every other Ray of the machine. Its own
# folder (argv[1]), its agent's port and its recorded address keep it apart from those. Ray says that it is ready before
# the agent is that starts jobs.
HEAD = """
import functools, ray, sys, time
import ray._private.parameter as parameter
from ray._private.utils import write_ray_address
from ray.experimental.internal_kv import _internal_kv_list
parameter.RayParams = functools.partial(parameter.RayParams, dashboard_agent_listen_port=0)
context = ray.init(num_cpus=4, object_store_memory=200_000_000, include_dashboard=True, _temp_dir=sys.argv[1])
write_ray_address(ray.get_runtime_context().gcs_address, sys.argv[1])
while not _internal_kv_list("DASHBOARD_AGENT_ADDR_NODE_ID_PREFIX", namespace="dashboard"):
    time.sleep(0.2)
print("ready http://" + context.dashboard_url, flush=True)
sys.stdin.read()
"""
SETTINGS = ["backbone=tiny", "chunk_frames=8", "embed.cpus=0.5"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for index in range(4):
        encode_video(folder / f"clip_{index}.mp4", seconds=16, fps=12, size=(64, 48), seed=index)
    return folder


def rows(store: Path) -> list[dict[str, object]]:
    files = sorted((store / "features").glob("*.parquet"))
    table = pa.concat_tables([pq.read_table(file) for file in files])
    return sorted(table.to_pylist(), key=lambda row: str(row["chunk_id"]))


def test_a_killed_extraction_continues_to_the_same_store(
    archive: Path, tmp_path: Path, ray_local: None
) -> None:
    (tmp_path / "clips").symlink_to(archive)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    words = ["videos=clips", "store=killed", *SETTINGS, shared_ray()]
    process = subprocess.Popen(
        job_command("extract", *words), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(2400):
        committed = [f for f in (killed / "checkpoint").glob("*.parquet") if "pending" not in f.name]
        if len(committed) >= 3 or process.poll() is not None:
            break
        time.sleep(0.1)
    assert process.poll() is None, "the job ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done_before = len(committed)

    continued = run_job("extract", *words, cwd=tmp_path)
    assert continued.returncode == 0, continued.stderr[-3000:]
    at_once = run_job("extract", "videos=clips", "store=whole", *SETTINGS, shared_ray(), cwd=tmp_path)
    assert at_once.returncode == 0, at_once.stderr[-3000:]
    assert rows(killed) == rows(whole)
    told = re.search(r"(\d+) chunks planned .*?, (\d+) of them to do", continued.stderr)
    assert told is not None, continued.stderr
    planned, to_do = map(int, told.groups())
    assert 0 < to_do < planned
    assert len(rows(whole)) > done_before


def test_the_same_command_is_submitted_to_a_cluster(archive: Path, tmp_path: Path) -> None:
    ray = str(Path(sys.executable).with_name("ray"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "RAY_AUTH_MODE": "disabled"}
    environment.pop("RAY_ADDRESS", None)
    folder = tempfile.mkdtemp(prefix="ray-")  # short, for the names of sockets have a limit
    cluster = subprocess.Popen(
        [sys.executable, "-c", HEAD, folder], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert cluster.stdout is not None
        url = next((line.split()[1] for line in cluster.stdout if line.startswith(b"ready ")), None)
        assert url, "the Ray head ended"
        submit = [
            ray, "job", "submit", "--address", url.decode(), "--working-dir", ".", "--",
            "python", "jobs/extract.py", f"videos={archive}/clip_0.mp4", f"store={tmp_path}/store", "backbone=tiny",
        ]  # fmt: skip
        job = subprocess.run(
            submit, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert job.returncode == 0, job.stdout[-3000:] + job.stderr[-3000:]
        assert "succeeded" in job.stdout + job.stderr
        assert len(rows(tmp_path / "store")) == 1
    finally:
        cluster.kill()  # its Ray ends with it
        cluster.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "extract: videos: is required (folder, glob, or Parquet/CSV/JSONL manifest with video_id, uri)"),
        (["videos=/no/such/folder", "store=/tmp/x"], "extract: videos=/no/such/folder: not found; "),
        (["videos=a", "store=b", "timeline.stride=0"], "extract: timeline.stride=0: must be greater than 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(words: list[str], line: str) -> None:
    result = run_job("extract", *words)
    assert result.returncode == 2
    assert line in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_help_lists_every_key() -> None:
    result = run_job("extract", "--help")
    assert result.returncode == 0
    for key in ("videos", "backbone.batch_size", "timeline.fps", "ray.address"):
        assert key in result.stdout
