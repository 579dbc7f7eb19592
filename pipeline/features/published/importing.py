"""Import: published feature files -> plan -> reading tasks -> sharded Parquet."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from pipeline import storage
from pipeline.annotations.read import read_annotations
from pipeline.annotations.settings import DatasetConfig
from pipeline.cluster.runtime import connect
from pipeline.cluster.tally import Tally
from pipeline.errors import InputError
from pipeline.features.compacting import compact_if_many
from pipeline.features.failures import lost_videos, record_failures
from pipeline.features.healing import heal, tidy_plan
from pipeline.features.identity import compare, record_files
from pipeline.features.index import StoreIndex
from pipeline.features.plan import forget_probe_failures, without_failed
from pipeline.features.published.durations import VideoFacts, facts_of_annotations, read_facts
from pipeline.features.published.layout import ArrayRule
from pipeline.features.published.listing import Naming, PublishedVideo, list_source, match_videos
from pipeline.features.published.placed_rows import placed_rows
from pipeline.features.published.places import Place
from pipeline.features.published.planning import (
    LengthRule,
    describe_mismatch,
    expected_length,
    probe_shapes,
    usual_widths,
    write_import_plan,
)
from pipeline.features.published.reading import PublishedReader
from pipeline.features.published.settings import ImportFeaturesConfig
from pipeline.features.published.shapes import PublishedShape
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.writing import write_features
from pipeline.lease import hold
from pipeline.summary import Summary
from pipeline.video.sandbox import Limits

logger = logging.getLogger(__name__)

# More rows than any plan has.
_ALL_ROWS = 2**31 - 1
_MISSING = "missing.txt"


def import_features(config: ImportFeaturesConfig) -> Summary:
    """Import published feature files into a store; the same command continues after any stop.

    Raises InputError where another job writes into the store.
    """
    name = _network_name(config)
    facts, annotated = _read_facts(config)
    with hold(config.store, "store", "import_features", config.force):
        return _import(config, name, facts, annotated)


def _import(
    config: ImportFeaturesConfig, name: str, facts: dict[str, VideoFacts], annotated: frozenset[str]
) -> Summary:
    rule = ArrayRule(config.layout, config.key)
    videos, shapes = _list_videos(config, rule)
    missing = _missing(config, annotated, videos)
    store = _plan(config, name, rule, videos, shapes, facts)
    before = store.index()
    named = pa.array([video.video_id for video in videos], pa.string())
    plan = store.pending(config.retry_failed)
    pending = plan.filter(pc.is_in(plan["video_id"], named))
    hours = float(before.duration[_rows_of(videos, before)].sum()) / 3600
    logger.info("%.2f hours of video, %d chunks to import", hours, pending.num_rows)
    started, written = time.monotonic(), store
    if pending.num_rows:
        connect(config.ray)
        _run_graph(config, store, rule, videos, pending)
        written = FeatureStore(store.url)
        written.record_index()
    seconds = time.monotonic() - started
    compact_if_many(written, config.shard_mb, config.merge_over)
    after = written.index()
    record_failures(store, after, "import")
    _record_missing(store, missing)
    odd_lengths = _remark_lengths(after, _rows_of(videos, after), config.length_tolerance)
    return _summarise(config, store, videos, before, after, len(missing), odd_lengths, seconds)


def _network_name(config: ImportFeaturesConfig) -> str:
    """What the FeatureSpec calls the network: all that tells published features of equal width and timeline apart.

    A store that there is keeps its name. Raises InputError where neither it nor the command has one.
    """
    if config.name is not None:
        return config.name
    if FeatureStore.is_at(config.store):
        return FeatureStore(config.store).spec.backbone
    raise InputError(
        "name: is required for a new store; a name of the network (such as i3d_kinetics_rgb), by which a detector "
        "tells these features from others of the same shape"
    )


def _read_facts(config: ImportFeaturesConfig) -> tuple[dict[str, VideoFacts], frozenset[str]]:
    """What is known of each video, and the ids that the annotations name."""
    told: dict[str, VideoFacts] = {}
    if config.dataset.annotations is not None:
        dataset = DatasetConfig.model_validate(config.dataset.model_dump())
        told = facts_of_annotations(read_annotations(dataset))
    facts = dict(told)
    for video_id, known in (read_facts(config.info) if config.info is not None else {}).items():
        facts[video_id] = known.filled_from(told.get(video_id, VideoFacts()))
    if config.timeline.fps is None and all(known.rate is None for known in facts.values()):
        raise InputError(
            "timeline.fps=null: nothing tells the rates of the videos; give it, or annotations or info that do"
        )
    return facts, frozenset(told)


def _list_videos(
    config: ImportFeaturesConfig, rule: ArrayRule
) -> tuple[list[PublishedVideo], dict[Place, PublishedShape]]:
    listed = partial(list_source, rule=rule, limits=_limits(config), before_ray=partial(connect, config.ray))
    listings = {"source": listed("source", config.source)}
    if config.second_source is not None:
        listings["second_source"] = listed("second_source", config.second_source)
    videos, passed_over = match_videos(listings, Naming(config.id_pattern, config.strip_prefix))
    if any(sum(place is not None and place.streamed for place in video.places) > 1 for video in videos):
        raise InputError(
            f"second_source={config.second_source}: source is a compressed tar, too, and two of them cannot be read "
            "side by side; unpack one"
        )
    unnamed = f"; {passed_over} arrays do not match id_pattern" if passed_over else ""
    logger.info("%d videos in %s%s", len(videos), config.source, unnamed)
    shapes = {place: shape for listing in listings.values() for place, shape in listing.shapes.items()}
    return videos, shapes


def _limits(config: ImportFeaturesConfig) -> Limits:
    """What the command allows one step of reading a file to cost."""
    return Limits(config.read.timeout_s, config.read.memory_mb * 2**20)


def _missing(
    config: ImportFeaturesConfig, annotated: frozenset[str], videos: list[PublishedVideo]
) -> list[str]:
    """The annotated videos without features, sorted. Raises InputError where that is all of them."""
    missing = sorted(annotated - {video.video_id for video in videos})
    if not missing:
        return []
    if len(missing) == len(annotated):
        raise InputError(
            f"source={config.source}: none of the {len(annotated)} annotated videos, such as {missing[0]!r}, is among "
            f"its {len(videos)}, such as {videos[0].video_id!r}; look at strip_prefix and id_pattern"
        )
    logger.warning(
        "%d of %d annotated videos have no features, such as %s", len(missing), len(annotated), missing[0]
    )
    return missing


def _plan(
    config: ImportFeaturesConfig,
    name: str,
    rule: ArrayRule,
    videos: list[PublishedVideo],
    shapes: dict[Place, PublishedShape],
    facts: Mapping[str, VideoFacts],
) -> FeatureStore:
    """The store, made where there is none, with a plan that knows all of `videos`."""
    there = FeatureStore(config.store) if FeatureStore.is_at(config.store) else None
    new = videos
    if there is not None:
        heal(there)
        new = _unknown(config, there, videos)
    shapes = probe_shapes(new, shapes, rule, _limits(config), partial(connect, config.ray))
    held = there.spec.preprocessing.get("widths", [there.spec.dim]) if there else None
    widths = usual_widths(new, shapes, held)
    if widths is None:
        problem = next((f"{place}: {shape.error}" for place, shape in shapes.items() if shape.error), "")
        raise InputError(
            f"source={config.source}: no video can be imported; {problem or 'none is in both sources'}"
        )
    spec = FeatureSpec(
        backbone=name,
        weights="published",
        preprocessing={"layout": config.layout, "key": config.key, "widths": widths},
        dim=sum(widths),
        timeline=config.timeline.build(),
    )
    store = FeatureStore.create(config.store, spec)
    lengths = LengthRule(config.length_tolerance, config.length_limit)
    write_import_plan(store, new, shapes, facts, widths, lengths, config.chunk_snippets)
    tidy_plan(store)
    return FeatureStore(store.url)


def _unknown(
    config: ImportFeaturesConfig, store: FeatureStore, videos: list[PublishedVideo]
) -> list[PublishedVideo]:
    """The videos to plan. Raises InputError where the store knows one by another file."""
    sources = {video.video_id: video.source for video in videos}
    found = compare(
        store,
        list(sources.values()),
        moved=config.moved,
        replaced=config.replace,
        retry_failed=config.retry_failed,
        look=False,
    )
    record_files(store, found.updated)
    if config.retry_failed:
        forget_probe_failures(store, sources)
    new = [*without_failed(store, found.new), *found.replaced]
    forget_probe_failures(store, {source.video_id for source in new})
    editions = {source.video_id: source.edition for source in new}
    return [
        replace(video, edition=editions[video.video_id]) for video in videos if video.video_id in editions
    ]


def _run_graph(
    config: ImportFeaturesConfig,
    store: FeatureStore,
    rule: ArrayRule,
    videos: list[PublishedVideo],
    pending: pa.Table,
) -> None:
    """The Ray Data graph from plan rows to feature rows."""
    spec = store.spec
    # A compressed tar is walked once, so a single task must know all that is wanted of it.
    in_one_task = any(place is not None and place.streamed for video in videos for place in video.places)

    def transform(plan_rows: ray.data.Dataset, tally: Tally) -> ray.data.Dataset:
        return plan_rows.map_batches(
            PublishedReader(rule, spec.dim, _limits(config), tally),
            batch_size=None if in_one_task else config.read.chunks_per_task,
            batch_format="pyarrow",
            num_cpus=config.read.cpus,
        )

    write_features(
        store,
        transform,
        chunk_snippets=config.chunk_snippets,
        shard_mb=config.shard_mb,
        rows_per_task=_ALL_ROWS if in_one_task else config.read.chunks_per_task,
        # Each row says where its features lie, for a task that knew all places would grow with the archive.
        pending=placed_rows(pending, videos),
    )


def _record_missing(store: FeatureStore, missing: list[str]) -> None:
    """`<store>/missing.txt`: the annotated videos without features, one a line."""
    url = storage.join(store.url, _MISSING)
    if missing:
        storage.write_bytes(url, "".join(f"{video_id}\n" for video_id in missing).encode())
    else:
        storage.remove(url)


def _remark_lengths(index: StoreIndex, rows: np.ndarray, tolerance: int) -> int:
    """How many of these videos differ from what their duration makes them by more than `tolerance`; told if any."""
    rule = LengthRule(tolerance, limit=0.0)
    facts = zip(
        index.fps[rows].tolist(),
        index.duration[rows].tolist(),
        index.num_snippets[rows].tolist(),
        strict=True,
    )
    odd = [
        (row, expected)
        for row, (fps, duration, length) in zip(rows.tolist(), facts, strict=True)
        if rule.is_remarkable(length, expected := expected_length(index.timeline_at(fps), duration))
    ]
    if odd:
        row, expected = odd[0]
        video = index.at(row)
        logger.warning(
            "%d of %d videos are not as long as the timeline makes them, such as %s, which %s",
            len(odd), len(rows), video.video_id,
            describe_mismatch(video.num_snippets, expected, video.duration, video.timeline),
        )  # fmt: skip
    return len(odd)


def _rows_of(videos: list[PublishedVideo], index: StoreIndex) -> np.ndarray:
    """The rows of those of this command's videos that are in the store."""
    rows = index.find([video.video_id for video in videos])
    return rows[rows >= 0]


def _summarise(
    config: ImportFeaturesConfig,
    store: FeatureStore,
    videos: list[PublishedVideo],
    before: StoreIndex,
    after: StoreIndex,
    missing: int,
    odd_lengths: int,
    seconds: float,
) -> Summary:
    video_ids = pa.array([video.video_id for video in videos], pa.string())
    complete = after.has_all(video_ids)
    lost = sorted(video_ids.filter(pa.array(~complete)).to_pylist())
    new = after.find(video_ids.filter(pa.array(complete & ~before.has_all(video_ids))))
    snippets = int(after.num_snippets[new].sum())
    figures = {"new snippets": str(snippets)}
    if len(new):
        figures["throughput"] = (
            f"{snippets * store.spec.dim * 2 / seconds / 2**20:.1f} MiB of features per second"
        )
    if missing:
        figures["annotated without features"] = f"{missing} ({_MISSING} in the store lists them)"
    if odd_lengths:
        figures["of another length than their duration"] = str(odd_lengths)
    return Summary(
        job="import_features",
        unit="videos",
        total=len(videos),
        done=len(new),
        already_done=int(complete.sum()) - len(new),
        failed=len(lost),
        outputs={"features": store.folder("features"), "failures": store.folder("failures")},
        figures=figures,
        allow_failures=config.allow_failures,
        failures=lost_videos(store, lost) if lost else (),
        failures_in=f"store={store.url}",
    )
