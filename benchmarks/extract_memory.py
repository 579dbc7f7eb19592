"""Peak memory of an extraction of a 10-minute and of a 60-minute video: it should not grow with the length.

Each runs as its users run it, jobs/extract.py in a process of its own with a small Ray. What counts is the proportional
memory (PSS: shared pages once) of all the processes that it starts, sampled a few times a second. Linux only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from measure import record
from rich.console import Console
from rich.table import Table

JOB = Path(__file__).resolve().parents[1] / "jobs" / "extract.py"
MINUTES = (10, 60)
RATE = 2
SETTINGS = [
    "backbone=tiny", f"timeline.fps={RATE}", "backbone.image_size=224", "chunk_frames=64", "ray.cpus=4",
    "ray.object_store_mb=160", "decode.cpus=1", "embed.cpus=1",
]  # fmt: skip


def render(path: Path, minutes: int, rate: Fraction = Fraction(RATE)) -> None:
    """A small picture that drifts, `rate` a second, with a key frame every 120."""
    texture = np.random.default_rng(0).integers(60, 200, (15, 60, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": "120"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index in range(int(minutes * 60 * rate)):
            left = index % 320
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(texture[:, left : left + 160]))
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def peak_mib(words: list[str]) -> float:
    """The highest sum over a job's process group of their memory in MiB."""
    job = subprocess.Popen(
        [sys.executable, str(JOB), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    peak = 0.0
    while job.poll() is None:
        peak = max(peak, sum(memory_mib(pid) for pid in family(job.pid)))
        time.sleep(0.3)
    assert job.returncode == 0, f"the job ended with {job.returncode}"
    return peak


def family(root: int) -> set[int]:
    """A process and all its descendants."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def memory_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    table = Table("video", "peak MiB", "against the first")
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in MINUTES:
            video = Path(folder) / f"{minutes}.mp4"
            render(video, minutes)
            peaks.append(peak_mib([f"videos={video}", f"store={folder}/store_{minutes}", *SETTINGS]))
            table.add_row(f"{minutes} minutes", f"{peaks[-1]:.0f}", f"{peaks[-1] / peaks[0]:.2f}")
    Console().print(table)
    record(
        "extract_memory",
        [
            {"minutes": minutes, "peak_mib": peak, "against_the_first": peak / peaks[0]}
            for minutes, peak in zip(MINUTES, peaks, strict=True)
        ],
    )


if __name__ == "__main__":
    main()
