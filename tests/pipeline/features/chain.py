"""The stages of extraction one after the other in this process: what the Ray graph does, without Ray."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.features.extraction.embed import ChunkEmbedder
from pipeline.features.extraction.flow_stage import flow_stage
from pipeline.features.extraction.planning import probe_videos
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.stages import chunk_decoder, describe, embedder_arguments, sampled_offsets
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource


def extract_here(config: ExtractConfig, video: Path) -> np.ndarray:
    """`[num_snippets, dim]` float16 features of one video."""
    spec, inputs = describe(config)
    decode, embed = chunk_decoder(config, inputs), ChunkEmbedder(*embedder_arguments(config, spec))

    rows, failures = probe_videos([VideoSource("v", str(video))], spec.timeline, config.chunk_frames)
    assert not failures
    chunks = []
    for task in range(0, len(rows), config.decode.chunks_per_task):
        plan = pa.Table.from_pylist(rows[task : task + config.decode.chunks_per_task], schema=PLAN_SCHEMA)
        chunks += list(decode(plan))
    if inputs.flow:
        add = flow_stage(config.flow, spec, sampled_offsets(config), inputs)
        chunks = [add(chunk) for chunk in chunks]
    features = []
    for start in range(0, len(chunks), config.embed.chunks_per_batch):
        table = embed(pa.concat_tables(chunks[start : start + config.embed.chunks_per_batch]))
        assert table["error"].null_count == len(table)
        features += [np.frombuffer(cell.as_buffer(), np.float16) for cell in table["features"]]
    return np.concatenate(features).reshape(-1, spec.dim)
