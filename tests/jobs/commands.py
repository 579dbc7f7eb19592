"""Running jobs as their users do: `python jobs/<verb>.py key=value ...` in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import ray

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL_RAY = ["ray.cpus=4", "ray.object_store_mb=200"]


def shared_ray() -> str:
    """The word by which a job joins the Ray of the tests instead of starting one: what takes Ray ten seconds."""
    return f"ray.address={ray.get_runtime_context().gcs_address}"


def job_command(job: str, *words: str) -> list[str]:
    """The command line of a job, with the Python that runs the tests."""
    return [sys.executable, str(REPOSITORY / "jobs" / f"{job}.py"), *words]


def heeding_interrupts(command: list[str]) -> list[str]:
    """A command line that obeys SIGINT, which background jobs of a shell, and so their children, ignore."""
    start = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", start, *command]


def run_job(job: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a job to its end from the folder `cwd`, far from the repository unless it says otherwise."""
    return subprocess.run(
        job_command(job, *words),
        cwd=cwd or Path("/"),
        env=os.environ | {"COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def with_packages_of_our_names(folder: Path) -> Path:
    """A folder to start jobs in: whatever takes its packages for ours fails."""
    for name in ("models", "pipeline", "jobs", "configs"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(f'raise RuntimeError("not our {name}")')
    return folder
