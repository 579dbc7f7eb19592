"""What all benchmarks share: taking turns, peaks of memory, and results that say where they come from."""

import csv
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_PACKAGES = ("torch", "ray", "pyarrow", "numpy", "av")


def synchronise() -> None:
    """Wait until the device has done what it was told."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def take_turns(
    jobs: Mapping[str, Callable[[], Any]],
    rounds: int,
    clock: Callable[[Callable[[], Any]], float] | None = None,
) -> dict[str, list[float]]:
    """Seconds of each job in each round; they take turns, after a first round that only warms up.

    `clock` runs a job and says what it took: wall time unless given.
    """
    measure = clock or wall_seconds
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for round_number in range(rounds + 1):
        for name, job in jobs.items():
            taken = measure(job)
            if round_number:
                times[name].append(taken)
    return times


def wall_seconds(job: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin


def cpu_seconds(job: Callable[[], Any]) -> float:
    """CPU time of this process and of the children that outlive the job (Linux)."""
    children = [
        int(pid) for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()
    ]
    # See clock_getcpuclockid(3).
    clocks = [time.CLOCK_PROCESS_CPUTIME_ID, *((~pid << 3) | 2 for pid in children)]
    begin = sum(time.clock_gettime(clock) for clock in clocks)
    job()
    return sum(time.clock_gettime(clock) for clock in clocks) - begin


def ratio(times: Mapping[str, Sequence[float]], one: str, other: str) -> float:
    """How many times longer `one` takes than `other`: the median over rounds."""
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


def peak_mib(make: Callable[..., Callable[[], Any]], *arguments: Any) -> float:
    """What the job that `make(*arguments)` gives needs at most, on top of what was there when it was made.

    Call it before anything large is made: a process inherits the peak of the one that starts it.
    """
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(_peak_here, (make, arguments))


def _peak_here(make: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> float:
    job = make(*arguments)
    if DEVICE.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        job()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    job()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * _RSS_UNIT / 2**20


def record(benchmark: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write `results/<benchmark>.csv`: the rows, and in each of them the machine, the versions and the commit."""
    where = origin()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{benchmark}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*dict.fromkeys(name for row in rows for name in row), *where])
        writer.writeheader()
        writer.writerows({name: _rounded(value) for name, value in row.items()} | where for row in rows)
    print(f"written to {os.path.relpath(path)}")


def origin() -> dict[str, Any]:
    """Where and with what figures were measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "device": _device(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "versions": " ".join(f"{package}={version(package)}" for package in _PACKAGES),
    }


def _rounded(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


def _commit() -> str:
    """The commit that is measured, with a + where files differ from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def _device() -> str:
    if DEVICE.type == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
