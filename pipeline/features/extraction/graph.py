"""The Ray Data graph of extraction: rows of a plan through decoders and backbone actors, each chunk exactly once."""

import pyarrow as pa
import ray.data

from pipeline.cluster.needs import Need, needs_of
from pipeline.cluster.tally import Tally
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.extraction.embed import ChunkEmbedder
from pipeline.features.extraction.flow_stage import add_flow
from pipeline.features.extraction.settings import StagesConfig
from pipeline.features.extraction.signed import SignedUris
from pipeline.features.extraction.stages import chunk_decoder, embedder_arguments, sampled_offsets
from pipeline.features.store import FeatureStore
from pipeline.features.writing import write_features
from pipeline.progress import Counting

# What a decoding process needs besides the pictures of a chunk.
_DECODER_BYTES = 700 * 2**20


def stage_needs(config: StagesConfig) -> list[Need]:
    """What each stage asks of a node."""
    decode, embed, flow = config.decode, config.embed, config.flow
    needs = [
        needs_of("decode", decode, cpus=decode.cpus),
        needs_of(
            "embed",
            embed,
            cpus=embed.cpus,
            gpus=embed.gpus,
            accelerator_type=embed.accelerator_type,
            workers=embed.min_actors,
            workers_key="embed.min_actors",
        ),
    ]
    if config.backbone.streams == "rgb":
        return needs
    gpus = flow.gpus if flow.algorithm != "tvl1" else 0.0
    return [*needs, needs_of("flow", flow, cpus=flow.cpus, gpus=gpus)]


def fill_store(
    config: StagesConfig,
    store: FeatureStore,
    inputs: Inputs,
    pending: pa.Table,
    signed: SignedUris | None,
    *,
    shard_mb: float,
    progress: Counting | None = None,
) -> None:
    """Run the graph.

    Args:
        config: of the stages.
        store: a healed store with a plan.
        inputs: what its network wants of a video.
        pending: the rows of the plan to do.
        signed: the command's URLs where the plan holds less than the whole.
        shard_mb: MiB that a file of features aims for.
        progress: what the screen shows of it; that of all videos of the store unless given.
    """
    spec, embed = store.spec, config.embed
    size = inputs.decoded
    decoder = chunk_decoder(config, inputs, signed)

    def transform(plan_rows: ray.data.Dataset, tally: Tally) -> ray.data.Dataset:
        frames = plan_rows.map_batches(
            decoder,
            batch_size=config.decode.chunks_per_task,
            batch_format="pyarrow",
            num_cpus=config.decode.cpus,
            resources=config.decode.resources,
            label_selector=config.decode.labels,
            # Also keeps Ray from fusing this stage into the actors, where nothing would be decoded in parallel.
            memory=_DECODER_BYTES + config.chunk_frames * size.crop * size.crop * 3,
        )
        if inputs.flow:
            frames = add_flow(frames, config.flow, spec, sampled_offsets(config), inputs)
        return frames.map_batches(
            ChunkEmbedder,
            fn_constructor_args=(*embedder_arguments(config, spec), tally),
            batch_size=embed.chunks_per_batch,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=embed.min_actors, max_size=embed.max_actors),
            num_cpus=embed.cpus,
            num_gpus=embed.gpus,
            accelerator_type=embed.accelerator_type,
            resources=embed.resources,
            label_selector=embed.labels,
        )

    write_features(
        store,
        transform,
        chunk_snippets=max(1, config.chunk_frames // spec.timeline.stride),
        shard_mb=shard_mb,
        rows_per_task=config.decode.chunks_per_task,
        pending=pending,
        progress=progress,
    )
