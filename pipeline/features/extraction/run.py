"""Extraction: videos -> plan -> decoded chunks -> [optical flow ->] backbone actors -> sharded Parquet."""

import logging
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.features.backbones import as_settings_say
from pipeline.features.compacting import compact_if_many
from pipeline.features.extraction.graph import fill_store, stage_needs
from pipeline.features.extraction.planning import Plan
from pipeline.features.extraction.prepared import prepare
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.signed import signed_uris
from pipeline.features.failures import lost_videos, record_failures
from pipeline.features.identity import Comparison
from pipeline.features.index import StoreIndex
from pipeline.features.plan import without_failed
from pipeline.features.sources import VideoSources, list_videos
from pipeline.features.store import FeatureStore
from pipeline.features.variation import why_constant
from pipeline.lease import hold
from pipeline.summary import Summary

logger = logging.getLogger(__name__)


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
    prepared = prepare(
        config,
        sources,
        stage_needs(config),
        lambda store, found: _is_work_left(store, found, config.retry_failed),
    )
    store, inputs, plan = prepared.store, prepared.inputs, prepared.plan
    before = store.index()
    pending = store.pending(config.retry_failed)
    logger.info(
        "%d chunks planned (%.2f hours of video), %d of them to do", plan.chunks, plan.hours, pending.num_rows
    )
    started, written = time.monotonic(), store
    if inputs is not None and pending.num_rows:
        fill_store(
            config, store, inputs, pending, signed_uris(sources),
            shard_mb=config.shard_mb,
        )  # fmt: skip
        written = FeatureStore(store.url)
        written.record_index()
    seconds = time.monotonic() - started
    compact_if_many(written, config.shard_mb, config.merge_over)
    after = written.index()
    record_failures(store, after, "extract")
    if pending.num_rows:
        warn_if_constant(written, sources.video_ids.to_pylist())
    return _summarise(config, store, sources, plan, before, after, seconds)


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
