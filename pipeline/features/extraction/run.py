"""Extraction: videos -> plan -> decoded chunks -> [optical flow ->] backbone actors -> sharded Parquet."""

import logging
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray

from pipeline.cluster.needs import Need, check_needs, needs_of
from pipeline.cluster.runtime import connect
from pipeline.cluster.tally import Tally
from pipeline.features.backbones import as_settings_say
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.compacting import compact_if_many
from pipeline.features.extraction.embed import ChunkEmbedder
from pipeline.features.extraction.flow_stage import add_flow
from pipeline.features.extraction.planning import Plan, plan_store
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.signed import SignedUris, signed_uris
from pipeline.features.extraction.stages import (
    chunk_decoder,
    decoding_limits,
    describe_remotely,
    embedder_arguments,
    sampled_offsets,
)
from pipeline.features.failures import lost_videos, record_failures
from pipeline.features.healing import heal
from pipeline.features.identity import Comparison, compare
from pipeline.features.index import StoreIndex
from pipeline.features.plan import without_failed
from pipeline.features.recipe import Recipe, read_recipe, record_recipe
from pipeline.features.sources import VideoSources, list_videos
from pipeline.features.store import FeatureStore
from pipeline.features.variation import why_constant
from pipeline.features.writing import write_features
from pipeline.lease import hold
from pipeline.records import DamagedRecordError
from pipeline.screen import phase
from pipeline.summary import Summary

logger = logging.getLogger(__name__)

# What a decoding process needs besides the pictures of a chunk.
_DECODER_BYTES = 700 * 2**20


def extract(config: ExtractConfig) -> Summary:
    """Decode videos and extract their snippet features into a store; the same command continues after any stop.

    Raises InputError where another job writes into the store.
    """
    sources = list_videos(config.videos)
    logger.info("%d videos in %s", len(sources), config.videos)
    if FeatureStore.is_at(config.store):
        store = FeatureStore(config.store)
        store.check_spec(as_settings_say(store.spec, config.backbone, config.timeline.build()))
    with hold(config.store, "store", "extract", config.force):
        return _extract(config, sources)


def _extract(config: ExtractConfig, sources: VideoSources) -> Summary:
    recipe = Recipe(backbone=config.backbone, flow=config.flow, timeline=config.timeline)
    store, inputs, found = _store_made_by(recipe, config.store), None, None
    if store is not None:
        heal(store)
        found = compare(
            store,
            sources,
            moved=config.moved,
            replaced=config.replace,
            retry_failed=config.retry_failed,
        )
    # Without work there is no need for Ray, nor for the network, which may take minutes to load.
    if store is None or found is None or _is_work_left(store, found, config.retry_failed):
        connect(config.ray)
        check_needs(_needs(config))
        with phase("loading the network"):
            spec, inputs = describe_remotely(config)
        if store is None:
            store = FeatureStore.create(config.store, spec)
            record_recipe(store.url, recipe)
            heal(store)
        else:
            store.check_spec(spec)  # the weights may be others now
    plan = plan_store(
        store,
        sources,
        config.chunk_frames,
        decoding_limits(config),
        config.decode.labels,
        moved=config.moved,
        replaced=config.replace,
        retry_failed=config.retry_failed,
        found=found,
    )
    before = store.index()
    pending = store.pending(config.retry_failed)
    logger.info(
        "%d chunks planned (%.2f hours of video), %d of them to do", plan.chunks, plan.hours, pending.num_rows
    )
    started, written = time.monotonic(), store
    if inputs is not None and pending.num_rows:
        _run_graph(config, store, inputs, pending, signed_uris(sources))
        written = FeatureStore(store.url)
        written.record_index()
    seconds = time.monotonic() - started
    compact_if_many(written, config.shard_mb, config.merge_over)
    after = written.index()
    record_failures(store, after, "extract")
    if pending.num_rows:
        warn_if_constant(written, sources.video_ids.to_pylist())
    return _summarise(config, store, sources, plan, before, after, seconds)


def _store_made_by(recipe: Recipe, url: str) -> FeatureStore | None:
    """The store at `url`, where its recipe is this very one; None where there is none such."""
    if not FeatureStore.is_at(url):
        return None
    try:
        return FeatureStore(url) if read_recipe(url) == recipe.as_tree() else None
    except DamagedRecordError:
        return None  # it is written anew


def _is_work_left(store: FeatureStore, found: Comparison, retry_failed: bool) -> bool:
    """Whether anything is to be probed or extracted."""
    new = found.new if retry_failed else without_failed(store, found.new)
    return bool(new or found.replaced or store.pending(retry_failed).num_rows)


def warn_if_constant(store: FeatureStore, video_ids: list[str]) -> None:
    """A log line where the features of these videos, as far as they are complete, tell nothing apart."""
    complete = [video_ids[place] for place in np.flatnonzero(store.index().has_all(video_ids)).tolist()]
    if reason := why_constant(store, complete):
        logger.warning(
            "store=%s: features %s, so nothing can be learned from them; look at backbone.weights, and at the videos",
            store.url, reason,
        )  # fmt: skip


def _needs(config: ExtractConfig) -> list[Need]:
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


def _run_graph(
    config: ExtractConfig, store: FeatureStore, inputs: Inputs, pending: pa.Table, signed: SignedUris | None
) -> None:
    """The Ray Data graph from plan rows to feature rows."""
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
        shard_mb=config.shard_mb,
        rows_per_task=config.decode.chunks_per_task,
        pending=pending,
        retry_failed=config.retry_failed,
    )


def _summarise(
    config: ExtractConfig,
    store: FeatureStore,
    sources: VideoSources,
    plan: Plan,
    before: StoreIndex,
    after: StoreIndex,
    seconds: float,
) -> Summary:
    video_ids = sources.video_ids
    kept = pa.array(sorted(plan.not_replaced), pa.string())
    complete = after.has_all(video_ids) & ~pc.is_in(video_ids, value_set=kept).to_numpy(zero_copy_only=False)
    lost = video_ids.filter(pa.array(~complete)).to_pylist()
    already = complete & before.has_all(video_ids)
    new = after.find(video_ids.filter(pa.array(complete & ~already)))
    hours = float(after.duration[new].sum()) / 3600
    figures = {"new snippets": str(after.num_snippets[new].sum())}
    stated = after.videos["stated_duration"].take(after.find(video_ids.filter(pa.array(complete))))
    if cut_short := len(stated) - stated.null_count:
        figures["kept although they end too early"] = f"{cut_short} videos"
    if len(new):
        figures["throughput"] = f"{hours * 3600 / seconds:.1f} seconds of video per second"
    return Summary(
        job="extract",
        unit="videos",
        total=len(video_ids),
        done=len(new),
        already_done=int(already.sum()),
        failed=len(lost),
        outputs={"features": store.folder("features"), "failures": store.folder("failures")},
        figures=figures,
        allow_failures=config.allow_failures,
        failures=lost_videos(store, lost) if lost else (),
        failures_in=f"store={store.url}",
    )
