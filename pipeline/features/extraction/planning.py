"""Planning: probe every new video in parallel and cut it into chunks, the rows of `<store>/plan/`."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.cluster.parallel import run_batches
from pipeline.errors import InputError
from pipeline.failures import Failure, failures_table
from pipeline.features.healing import forget_plan, tidy_plan
from pipeline.features.identity import Comparison, compare, record_files
from pipeline.features.plan import cut_chunks, forget_probe_failures, without_failed, write_part
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource, VideoSources
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from pipeline.progress import Progress
from pipeline.screen import shown
from pipeline.video.errors import VideoError
from pipeline.video.patience import ask_patiently
from pipeline.video.probe import prober
from pipeline.video.sandbox import DEFAULT_LIMITS, Limits, sandbox

logger = logging.getLogger(__name__)


_PROBES_PER_TASK = 16


_PROBE_CPUS = 0.5  # a probe waits for storage more than it computes


_VIDEOS_PER_PART = 20_000  # a part is written whole, so a killed plan loses at most this many probes


@dataclass(frozen=True)
class Plan:
    """What there is to extract, counted in videos that the command names.

    Attributes:
        videos: videos that the command names.
        new: those probed now; the others were planned, or found broken, by an earlier run.
        chunks: rows of the whole plan.
        hours: hours of video in the whole plan.
        not_replaced: ids of videos whose new file could not be probed, so that the old one still counts.
    """

    videos: int
    new: int
    chunks: int
    hours: float
    not_replaced: frozenset[str] = frozenset()


def plan_store(
    store: FeatureStore,
    sources: Sequence[VideoSource],
    chunk_frames: int,
    limits: Limits = DEFAULT_LIMITS,
    labels: dict[str, str] | None = None,
    *,
    moved: bool = False,
    replaced: bool = False,
    retry_failed: bool = False,
    found: Comparison | None = None,
) -> Plan:
    """Bring `<store>/plan/` up to date with `sources`: probe those it does not know, in parallel, and add their chunks.

    A video that cannot be probed becomes a row in `<store>/failures/`. Each part is written atomically, so a killed
    plan is continued by the next call. With `retry_failed`, those that failed are probed again. `found` is what
    `compare` has told already. Probing happens on nodes that have these Ray `labels`.

    Raises InputError where the store knows a video by another file (`compare`).
    """
    sources = VideoSources.of(sources)
    found = found or compare(store, sources, moved=moved, replaced=replaced, retry_failed=retry_failed)
    record_files(store, found.updated)
    if retry_failed:
        forget_probe_failures(store, sources.video_ids)
    new = without_failed(store, found.new).and_also(found.replaced)
    forget_probe_failures(store, new.video_ids)
    if new:
        logger.info("probing %d new videos", len(new))
    plans: list[pa.Table] = []
    failures: list[pa.Table] = []
    waiting = 0
    probing = Progress("videos probed", len(new))
    probed = broken = 0
    with shown(probing) if new else nullcontext():
        for plan, failed, videos in probe_all(new, store.spec.timeline, chunk_frames, limits, labels):
            plans.append(plan)
            failures.append(failed)
            waiting, probed, broken = waiting + videos, probed + videos, broken + failed.num_rows
            probing.reached(probed, failed=broken)
            if waiting >= _VIDEOS_PER_PART:
                write_part(store, plans, failures)
                plans, failures, waiting = [], [], 0
    write_part(store, plans, failures)
    if new:
        tidy_plan(store)
        store.forget_index()
    kept = _not_replaced(store, found.replaced)
    forget_plan(store, {video_id for video_id in kept if not store.index()[video_id].complete})
    return _count(store, len(sources), len(new), kept)


def probe_videos(
    sources: Iterable[VideoSource], timeline: Timeline, chunk_frames: int, limits: Limits = DEFAULT_LIMITS
) -> tuple[list[dict[str, object]], list[Failure]]:
    """Plan rows of the videos that can be probed, in a sandbox, and a failure for each of the others."""
    process = sandbox(prober, (), limits)
    rows: list[dict[str, object]] = []
    failures: list[Failure] = []
    for source in sources:
        try:
            info, _ = ask_patiently(process, source.uri, source.uri)
            known = _with_file(source)
        except VideoError as error:
            failures.append(Failure(source.video_id, source.stored_uri, "probe", error.kind, str(error)))
        else:
            resolved = timeline.resolve(info.average_rate)
            rows += cut_chunks(known, info.duration, resolved, chunk_frames)
    return rows, failures


def probe_all(
    sources: Sequence[VideoSource],
    timeline: Timeline,
    chunk_frames: int,
    limits: Limits,
    labels: dict[str, str] | None = None,
) -> Iterator[tuple[pa.Table, pa.Table, int]]:
    """(plan rows, failure rows, videos) of one task after the other, as they finish."""

    def probed(batch: list[VideoSource]) -> tuple[pa.Table, pa.Table, int]:
        rows, failures = probe_videos(batch, timeline, chunk_frames, limits)
        return pa.Table.from_pylist(rows, schema=PLAN_SCHEMA), failures_table(failures), len(batch)

    return run_batches(probed, sources, _PROBES_PER_TASK, _PROBE_CPUS, labels)


def _with_file(source: VideoSource) -> VideoSource:
    """The source of a file that could be read, with its size and version where storage tells them."""
    if source.size is not None:
        return source
    try:
        file = storage.stat(source.uri)
    except InputError:
        return source  # some servers give files and tell nothing about them
    return source if file is None else replace(source, size=file.size, version=file.version)


def _not_replaced(store: FeatureStore, sources: Sequence[VideoSource]) -> frozenset[str]:
    """The ids of those whose new file is not in the plan."""
    if not sources:
        return frozenset()
    plan = store.plan()
    planned = set(zip(plan["video_id"].to_pylist(), plan["edition"].to_pylist(), strict=True))
    return frozenset(s.video_id for s in sources if (s.video_id, s.edition) not in planned)


def _count(store: FeatureStore, videos: int, new: int, not_replaced: frozenset[str]) -> Plan:
    plan = store.plan()
    first = plan.filter(pc.equal(plan["chunk_index"], 0))
    seconds = pc.sum(first["duration"]).as_py() or 0.0
    return Plan(videos, new, plan.num_rows, seconds / 3600, not_replaced)
