"""The stages of extraction one after the other in this process: what the Ray graph does, without Ray."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.config import ExtractConfig
from pipeline.features.backbones import feature_spec, frame_offsets, load_backbone
from pipeline.features.decode import ChunkDecoder
from pipeline.features.embed import ChunkEmbedder
from pipeline.features.flow import flow_description
from pipeline.features.flow.stage import flow_stage
from pipeline.features.plan import probe_videos
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource


def extract_here(config: ExtractConfig, video: Path) -> np.ndarray:
    """`[num_snippets, dim]` float16 features of one video."""
    backbone = load_backbone(config.backbone)
    inputs, timeline = backbone.inputs, config.timeline.build()
    described = flow_description(config.flow, inputs) if inputs.flow else None
    spec = feature_spec(config.backbone, backbone, timeline, described)
    offsets = frame_offsets(timeline.window, config.backbone.frames_per_snippet)
    decode = ChunkDecoder(timeline, offsets, inputs.decoded, successors=inputs.flow)
    embed = ChunkEmbedder(config.backbone, spec, threads=1)

    rows, failures = probe_videos([VideoSource("v", str(video))], timeline, config.chunk_frames)
    assert not failures
    chunks = []
    for task in range(0, len(rows), config.decode.chunks_per_task):
        plan = pa.Table.from_pylist(rows[task : task + config.decode.chunks_per_task], schema=PLAN_SCHEMA)
        chunks += list(decode(plan))
    if inputs.flow:
        add = flow_stage(config.flow, spec, offsets, inputs)
        chunks = [add(chunk) for chunk in chunks]
    features = []
    for start in range(0, len(chunks), config.embed.chunks_per_batch):
        table = embed(pa.concat_tables(chunks[start : start + config.embed.chunks_per_batch]))
        assert table["error"].null_count == len(table)
        features += [np.frombuffer(cell.as_buffer(), np.float16) for cell in table["features"]]
    return np.concatenate(features).reshape(-1, spec.dim)
