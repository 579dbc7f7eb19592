"""Whole extraction beside the bare forward pass of its network on as many frames, in the same run, per CPU-second.

Extraction is its stages as the Ray graph runs them, from the video file to float16 features in Arrow: decoding,
resizing, rows of frames, batches, normalisation, the network. Bare is the network alone on tensors that lie ready,
in batches of the same shape. The networks have random weights. A ratio is the median over rounds in which the two
take turns; what Ray itself takes to schedule is not in it.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import torch
from decode import RATE, render
from measure import cpu_seconds, ratio, record, take_turns
from rich.console import Console
from rich.table import Table

from pipeline.compose import compose_config
from pipeline.features.backbones import load_backbone
from pipeline.features.extraction.embed import ChunkEmbedder
from pipeline.features.extraction.planning import probe_videos
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.stages import chunk_decoder, describe, embedder_arguments
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource

CASES = {
    "CLIP ViT-B/16": ["backbone=clip_vit_b16", "backbone.batch_size=8"],
    "I3D rgb, stride 4": ["backbone=i3d_rgb", "backbone.batch_size=2"],
}


def stages(config: ExtractConfig, video: Path) -> tuple[Callable[[], None], Callable[[], None], int]:
    """Whole extraction, the bare forward passes, and the snippets that either makes."""
    spec, inputs = describe(config)
    decode, embed = chunk_decoder(config, inputs), ChunkEmbedder(*embedder_arguments(config, spec))
    rows, failures = probe_videos([VideoSource("v", str(video))], spec.timeline, config.chunk_frames)
    assert not failures, failures
    plan = pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)
    snippets = sum(row["num_snippets"] for row in rows)

    def whole() -> None:
        table = embed(pa.concat_tables(list(decode(plan))))
        assert table["error"].null_count == len(rows)

    backbone = load_backbone(config.backbone)
    side, batch, sampled = inputs.size.crop, config.backbone.batch_size, config.backbone.frames_per_snippet
    if backbone.sees_clips:
        network, items, shape = backbone.encoder.streams["rgb"], snippets, (batch, sampled, side, side, 3)
    else:
        network, items, shape = backbone.encoder.network, snippets * sampled, (batch, side, side, 3)
    ready = torch.randn(shape).movedim(-1, 1)  # channels last in memory, as in extraction

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(-(-items // batch)):
                network(ready)

    return whole, bare, snippets


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=64, help="frames of 640x360 to extract from")
    words = parser.parse_args()

    table = Table("network", "snippets", "bare, s", "extraction, s", "extraction / bare throughput")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "v.mp4"
        render(video, 640, 360, words.frames)
        for name, settings in CASES.items():
            given = [f"videos={video}", f"store={folder}", "backbone.weights=random", f"timeline.fps={RATE}"]
            whole, bare, snippets = stages(
                compose_config("extract", ExtractConfig, [*given, *settings]), video
            )
            times = take_turns({"bare": bare, "extraction": whole}, words.rounds, cpu_seconds)
            medians = {job: statistics.median(taken) for job, taken in times.items()}
            share = ratio(times, "bare", "extraction")
            table.add_row(
                name, str(snippets), *(f"{taken:.1f}" for taken in medians.values()), f"{share:.2f}"
            )
            rows.append(
                {
                    "network": name, "snippets": snippets, "bare_cpu_s": medians["bare"],
                    "extraction_cpu_s": medians["extraction"], "throughput_against_bare": share,
                }
            )  # fmt: skip
    record("extraction", rows)
    Console().print(table)


if __name__ == "__main__":
    main()
