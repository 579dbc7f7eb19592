"""Peak memory of labelling a video of half an hour and one of four hours: no stage should grow with the length.

Each runs as its users run it, jobs/label.py in a process of its own with a small Ray, naming by words included. Told is
the highest proportional memory (PSS: shared pages once) of any process of each stage, and of all of them together,
sampled a few times a second. Linux only.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import torch
from extract_memory import family, memory_mib, render
from measure import record
from rich.console import Console
from rich.table import Table

from pipeline import storage
from pipeline.compose import compose_config
from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    Progress,
    checkpoint_name,
    copy_tensors,
    write_checkpoint,
)
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.stages import describe
from pipeline.features.recipe import Recipe
from pipeline.training.optimisation import build_optimiser
from pipeline.training.settings import OptimiserConfig, TrainConfig

JOB = Path(__file__).resolve().parents[1] / "jobs" / "label.py"
MINUTES = (30, 240)
RATE = Fraction(1, 4)  # pictures a second
# What Ray calls the processes of a stage, and what they do.
STAGES = {
    "ChunkEmbedder": "backbone",
    "DetectorActor": "detector",
    "NamingActor": "naming",
    "ChunkDecoder": "decoding",
    "jobs/label.py": "driver",
}
SETTINGS = [
    "chunk_frames=64", "ray.cpus=4", "ray.object_store_mb=160", "detect.cache_mb=0.5", "results.write=never",
    "naming.classes=high jump, pole vault, a person opens a door",
]  # fmt: skip


def save_run(folder: str) -> str:
    """A run whose detector has learnt nothing, on features that anybody can make: a snippet a frame."""
    words = [
        "videos=v", "store=s", "backbone=tiny", f"timeline.fps={float(RATE)}", "backbone.image_size=224",
        "timeline.stride=1", "timeline.window=1",
    ]  # fmt: skip
    extraction = compose_config("extract", ExtractConfig, words)
    spec, _ = describe(extraction)
    words = [
        "run=r", "store=s", "dataset.annotations=a", "model=tp2detr_tiny", "class_agnostic=true",
        "windows.length=32", "merge.window_top_k=20",
    ]  # fmt: skip
    config = compose_config("train", TrainConfig, words)
    torch.manual_seed(0)
    model = build(config.model, spec.dim, 1, bf16=False)
    write_checkpoint(
        storage.join(folder, CHECKPOINTS, checkpoint_name(1)),
        progress=Progress(1, 1, ()),
        labels=("action",),
        feature_spec=spec,
        config=config.model_dump(mode="json"),
        tensors=copy_tensors(model, build_optimiser(model, OptimiserConfig())),
        recipe=Recipe(
            backbone=extraction.backbone, flow=extraction.flow, timeline=extraction.timeline
        ).as_tree(),
    )
    return folder


def peaks(words: list[str]) -> dict[str, float]:
    """The highest memory in MiB of a process of each stage, and of the job's whole process group."""
    job = subprocess.Popen(
        [sys.executable, str(JOB), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    found: dict[str, float] = defaultdict(float)
    while job.poll() is None:
        total = 0.0
        for pid in family(job.pid):
            memory, stage = memory_mib(pid), stage_of(pid)
            total += memory
            if stage is not None:
                found[stage] = max(found[stage], memory)
        found["together"] = max(found["together"], total)
        time.sleep(0.3)
    assert job.returncode == 0, f"the job ended with {job.returncode}"
    return dict(found)


def stage_of(pid: int) -> str | None:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    return next((stage for sign, stage in STAGES.items() if sign in command), None)


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = save_run(f"{folder}/run")
        for minutes in MINUTES:
            video = Path(folder) / f"{minutes}.mp4"
            render(video, minutes, RATE)
            found[minutes] = peaks(
                [f"videos={video}", f"run={run}", f"out={folder}/out_{minutes}", *SETTINGS]
            )
    short, long = (found[minutes] for minutes in MINUTES)
    rows = [
        {
            "process": stage,
            **{f"mib_{minutes}_minutes": found[minutes].get(stage) for minutes in MINUTES},
            "ratio": long[stage] / short[stage],
        }
        for stage in sorted(set(short) & set(long))
    ]
    table = Table("process", *(f"{minutes} minutes, MiB" for minutes in MINUTES), "ratio")
    for row in rows:
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
    record("label_memory", rows)


if __name__ == "__main__":
    main()
