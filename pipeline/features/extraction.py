"""Extraction: videos -> plan -> decoded chunks -> backbone actors -> sharded Parquet."""

import logging
import time

import pyarrow.parquet as pq
import ray

from pipeline import storage
from pipeline.config import BackboneConfig, ExtractConfig
from pipeline.failures import Failure, FailureKind, failures_table
from pipeline.features.backbones import feature_spec, frame_offsets, load_backbone
from pipeline.features.decode import ChunkDecoder
from pipeline.features.embed import ChunkEmbedder
from pipeline.features.plan import forget_probe_failures, plan_store
from pipeline.features.schema import FEATURES_SCHEMA
from pipeline.features.sources import list_videos
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore, VideoFeatures
from pipeline.features.timeline import Timeline
from pipeline.ray_runtime import connect
from pipeline.resumable import write_resumably
from pipeline.summary import Summary
from pipeline.video.picture import FrameSize
from pipeline.video.sandbox import Limits

logger = logging.getLogger(__name__)

# A small job should still lose little when it is killed, so a file holds at most this part of its chunks.
_LEAST_FILES = 64
# What a decoding process needs besides the pictures of a chunk.
_DECODER_BYTES = 700 * 2**20


def extract(config: ExtractConfig) -> Summary:
    """Decode videos and extract their snippet features into a store; the same command continues after any stop."""
    sources = list_videos(config.videos)
    logger.info("%d videos in %s", len(sources), config.videos)
    connect(config.ray)
    spec, size = ray.get(describe_backbone.remote(config.backbone, config.timeline.build()))
    store = FeatureStore.create(config.store, spec)
    if config.retry_failed:
        forget_probe_failures(store)
    plan = plan_store(store, sources, config.chunk_frames, decoding_limits(config))
    before = store.index()
    lost = frozenset(chunk for video in before.values() for chunk in video.lost_chunks)
    redo = lost if config.retry_failed else frozenset()
    pending = plan.chunks - sum(video.recorded_chunks for video in before.values()) + len(redo)
    logger.info("%d chunks planned (%.2f hours of video), %d of them to do", plan.chunks, plan.hours, pending)
    started = time.monotonic()
    if pending:
        _run_graph(config, store, size, pending, redo)
    after = FeatureStore(store.url).index()
    _write_extraction_failures(store, after)
    return _summarise(
        config, store, [source.video_id for source in sources], before, after, time.monotonic() - started
    )


def _run_graph(
    config: ExtractConfig, store: FeatureStore, size: FrameSize, pending: int, redo: frozenset[str]
) -> None:
    """The Ray Data graph from plan rows to feature rows."""
    spec, embed = store.spec, config.embed
    decoder = chunk_decoder(config, spec, size)

    def transform(plan_rows: ray.data.Dataset) -> ray.data.Dataset:
        frames = plan_rows.map_batches(
            decoder,
            batch_size=config.decode.chunks_per_task,
            batch_format="pyarrow",
            num_cpus=config.decode.cpus,
            # Also keeps Ray from fusing this stage into the actors, where nothing would be decoded in parallel.
            memory=_DECODER_BYTES + config.chunk_frames * size.crop * size.crop * 3,
        )
        return frames.map_batches(
            ChunkEmbedder,
            fn_constructor_args=embedder_arguments(config, spec),
            batch_size=embed.chunks_per_batch,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=embed.min_actors, max_size=embed.max_actors),
            num_cpus=embed.cpus,
            num_gpus=embed.gpus,
        )

    row_bytes = max(1, config.chunk_frames // spec.timeline.stride) * spec.dim * 2
    rows_per_file = max(1, min(int(config.shard_mb * 2**20) // row_bytes, -(-pending // _LEAST_FILES)))
    write_resumably(
        source=store.folder("plan"),
        transform=transform,
        target=store.folder("features"),
        checkpoint=store.folder("checkpoint"),
        id_column="chunk_id",
        schema=FEATURES_SCHEMA.with_metadata(
            {"feature_spec": spec.to_json(), "feature_digest": spec.digest.encode()}
        ),
        rows_per_file=rows_per_file,
        row_bytes=row_bytes,
        rows_per_task=config.decode.chunks_per_task,
        expected_rows=pending,
        unit="chunks",
        redo=redo,
    )


def decoding_limits(config: ExtractConfig) -> Limits:
    """What the command allows a chunk, or a probe, to cost."""
    return Limits(config.decode.timeout_s, config.decode.memory_mb * 2**20)


def chunk_decoder(config: ExtractConfig, spec: FeatureSpec, size: FrameSize) -> ChunkDecoder:
    """The decoding stage of a command."""
    offsets = frame_offsets(spec.timeline.window, config.backbone.frames_per_snippet)
    return ChunkDecoder(
        spec.timeline,
        offsets,
        size,
        limits=decoding_limits(config),
        keep_truncated=config.decode.truncated == "keep",
    )


def embedder_arguments(config: ExtractConfig, spec: FeatureSpec) -> tuple[BackboneConfig, FeatureSpec, int]:
    """What the backbone stage of a command, a `ChunkEmbedder`, is made of."""
    return config.backbone, spec, config.embed.threads or max(1, int(config.embed.cpus))


@ray.remote(num_cpus=1)
def describe_backbone(config: BackboneConfig, timeline: Timeline) -> tuple[FeatureSpec, FrameSize]:
    """What the features will be; a task, because a cluster's head may be too small for the weights."""
    backbone = load_backbone(config)
    return feature_spec(config, backbone, timeline), backbone.size


def _write_extraction_failures(store: FeatureStore, videos: dict[str, VideoFeatures]) -> None:
    """`failures/extract.parquet`: one row a video that has lost chunks; made anew from the features by each run."""
    lost = [_failure_of(video) for video in videos.values() if not video.complete]
    url = storage.join(store.folder("failures"), "extract.parquet")
    if not lost:
        storage.remove(url)
        return
    with storage.replace_atomically(url) as stream:
        pq.write_table(failures_table(lost), stream, compression="zstd")


def _failure_of(video: VideoFeatures) -> Failure:
    """Why a video is incomplete; a chunk without any row can only come from outside interference with the store."""
    return video.failure or Failure(
        video.video_id,
        video.uri,
        "extract",
        FailureKind.MISSING_FEATURES,
        "chunks are missing; run extract again",
    )


def _summarise(
    config: ExtractConfig,
    store: FeatureStore,
    video_ids: list[str],
    before: dict[str, VideoFeatures],
    after: dict[str, VideoFeatures],
    seconds: float,
) -> Summary:
    complete = [video_id for video_id in video_ids if video_id in after and after[video_id].complete]
    already = {video_id for video_id in complete if before[video_id].complete}
    new = [after[video_id] for video_id in complete if video_id not in already]
    hours = sum(video.duration for video in new) / 3600
    figures = {"new snippets": str(sum(video.num_snippets for video in new))}
    cut_short = sum(after[video_id].stated_duration is not None for video_id in complete)
    if cut_short:
        figures["kept although they end too early"] = f"{cut_short} videos"
    if new:
        figures["throughput"] = f"{hours * 3600 / seconds:.1f} seconds of video per second"
    return Summary(
        job="extract",
        unit="videos",
        total=len(video_ids),
        done=len(new),
        already_done=len(already),
        failed=len(video_ids) - len(complete),
        outputs={"features": store.folder("features"), "failures": store.folder("failures")},
        figures=figures,
        allow_failures=config.allow_failures,
    )
