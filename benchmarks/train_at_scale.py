"""Training on a store of 100,000 short videos: how soon it begins, what memory it takes, and how long it waits.

The features of all videos do not fit into the worker's cache, so most windows are read from the store by range, in
every epoch. The run is stopped after some minutes, since its first windows tell as much as its last. Linux only.

    python benchmarks/train_at_scale.py [--videos 100000] [--seconds 120]
"""

import argparse
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from extract_memory import family, memory_mib
from measure import record
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[1]
SNIPPETS, DIM = 16, 128
_CACHE_MB = 32
_SAMPLE_SECONDS = 2.0


def build(folder: Path, videos: int) -> None:
    """The archive, in a process whose features are wider and longer than those of `scale.py`."""
    import synthetic_archive

    synthetic_archive.SNIPPETS, synthetic_archive.DIM = SNIPPETS, DIM
    synthetic_archive.build_archive(folder, videos, 1, with_npy=False)


def words(folder: Path) -> list[str]:
    return [
        f"run={folder}/trained", f"store={folder}/store", f"dataset.annotations={folder}/train.json",
        "dataset.train_subset=all", "validate_every=0", "model=dualdetr_tiny", f"windows.length={SNIPPETS}",
        "optimiser.batch_size=32", f"cache_mb={_CACHE_MB}", "ray.cpus=4", "ray.object_store_mb=300",
    ]  # fmt: skip


def is_worker(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::RayTrainWorker")
    except OSError:
        return False


def watch(folder: Path, seconds: float) -> dict[str, Any]:
    """Start the run, watch it for a while from its first step, and stop it. Returns the figures."""
    begun = time.monotonic()
    with (folder / "said.txt").open("wb") as log:
        job = subprocess.Popen(
            [sys.executable, "-m", "raytad", "train", *words(folder)],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    curves = folder / "trained" / "tensorboard"
    while not curves.exists():
        time.sleep(0.1)
        if job.poll() is not None:
            raise RuntimeError((folder / "said.txt").read_text())
    start_up = time.monotonic() - begun
    driver, worker = [], []
    while time.monotonic() < begun + start_up + seconds:
        time.sleep(_SAMPLE_SECONDS)
        driver.append(memory_mib(job.pid))
        worker.append(sum(memory_mib(pid) for pid in family(job.pid) if is_worker(pid)))
    job.send_signal(signal.SIGTERM)
    job.wait(120)
    events = EventAccumulator(str(curves))
    events.Reload()
    last = {name: events.Scalars(f"train/{name}")[-1].value for name in ("waiting", "windows_per_second")}
    steps = events.Scalars("train/total")[-1].step
    return {
        "start_up_s": start_up, "steps": steps, **last, **_ends("driver", driver), **_ends("worker", worker),
    }  # fmt: skip


def _ends(name: str, samples: Sequence[float]) -> dict[str, float]:
    """The median of the second quarter of the time, when all is warm, that of the last, and the most."""
    quarter = max(1, len(samples) // 4)
    return {
        f"{name}_mib_early": statistics.median(samples[quarter : 2 * quarter]),
        f"{name}_mib_late": statistics.median(samples[-quarter:]),
        f"{name}_mib_most": max(samples),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, nargs="+", default=[100_000], help="sizes of the archives")
    parser.add_argument("--seconds", type=float, default=120.0, help="to watch each run from its first step")
    choice = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    rows = []
    for videos in choice.videos:
        with tempfile.TemporaryDirectory(prefix="raytad-train-at-scale-") as scratch:
            folder = Path(scratch) / "archive"
            process = multiprocessing.get_context("spawn").Process(target=build, args=(folder, videos))
            process.start()
            process.join()
            rows.append({"videos": videos} | watch(folder, choice.seconds))
        for name, value in rows[-1].items():
            print(f"{name:20} {value:.4g}" if isinstance(value, float) else f"{name:20} {value}", flush=True)
    record("train_at_scale", rows)


if __name__ == "__main__":
    main()
