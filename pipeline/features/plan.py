"""Planning: probe every new video in parallel and cut it into chunks, the rows of `<store>/plan/`."""

import logging
import posixpath
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import parquet, storage
from pipeline.errors import InputError
from pipeline.failures import FAILURES_SCHEMA, Failure, FailureKind, failures_table
from pipeline.features.healing import forget_plan, tidy_plan
from pipeline.features.identity import compare, record_files
from pipeline.features.schema import PLAN_SCHEMA, chunk_id
from pipeline.features.sources import VideoSource
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from pipeline.parallel import run_batches
from pipeline.video.errors import VideoError
from pipeline.video.patience import ask_patiently
from pipeline.video.probe import prober
from pipeline.video.sandbox import DEFAULT_LIMITS, Limits, sandbox

logger = logging.getLogger(__name__)

_PROBE_PREFIX = "probe-"
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
    sources: list[VideoSource],
    chunk_frames: int,
    limits: Limits = DEFAULT_LIMITS,
    *,
    moved: bool = False,
    replaced: bool = False,
    retry_failed: bool = False,
) -> Plan:
    """Bring `<store>/plan/` up to date with `sources`: probe those it does not know, in parallel, and add their chunks.

    A video that cannot be probed becomes a row in `<store>/failures/`. Each part is written atomically, so a killed
    plan is continued by the next call. With `retry_failed`, those that failed are probed again.

    Raises InputError where the store knows a video by another file (`compare`).
    """
    found = compare(store, sources, moved=moved, replaced=replaced, retry_failed=retry_failed)
    record_files(store, found.updated)
    if retry_failed:
        forget_probe_failures(store, {source.video_id for source in sources})
    new = [*without_failed(store, found.new), *found.replaced]
    forget_probe_failures(store, {source.video_id for source in new})
    if new:
        logger.info("probing %d new videos", len(new))
    plans: list[pa.Table] = []
    failures: list[pa.Table] = []
    waiting = 0
    for plan, failed, videos in probe_all(new, store.spec.timeline, chunk_frames, limits):
        plans.append(plan)
        failures.append(failed)
        waiting += videos
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


def without_failed(store: FeatureStore, sources: list[VideoSource]) -> list[VideoSource]:
    """Those of `sources` that an earlier run did not fail to probe.

    One that failed because of its storage, or as another file, is not among the failed.
    """
    rows = store.failures()
    rows = rows.filter(pc.not_equal(rows["kind"], str(FailureKind.STORAGE)))
    failed = dict(zip(rows["video_id"].to_pylist(), rows["uri"].to_pylist(), strict=True))
    return [source for source in sources if failed.get(source.video_id) != source.stored_uri]


def cut_chunks(
    source: VideoSource, duration: float, timeline: Timeline, chunk_frames: int
) -> list[dict[str, object]]:
    """Plan rows of one video: runs of consecutive snippets that cover at most `chunk_frames` frames each.

    Args:
        source: the video.
        duration: seconds.
        timeline: the time rule with `fps` resolved.
        chunk_frames: frames of the resampled video, at least `timeline.window`.
    """
    snippets = timeline.num_snippets(timeline.num_frames(duration))
    per_chunk = max(1, (chunk_frames - timeline.window) // timeline.stride + 1)
    return chunk_rows(source, snippets, per_chunk, duration, timeline)


def chunk_rows(
    source: VideoSource, snippets: int, per_chunk: int, duration: float, timeline: Timeline
) -> list[dict[str, object]]:
    """Plan rows of a video of `snippets` snippets, at most `per_chunk` in each; `timeline` has its `fps` resolved."""
    starts = range(0, snippets, per_chunk)
    return [
        {
            "chunk_id": chunk_id(source.video_id, index),
            "video_id": source.video_id,
            "uri": source.stored_uri,
            "chunk_index": index,
            "num_chunks": len(starts),
            "first_snippet": first,
            "num_snippets": min(per_chunk, snippets - first),
            "duration": duration,
            "fps": timeline.rate,
            "edition": source.edition,
            "file_size": source.size,
            "file_version": source.version,
        }
        for index, first in enumerate(starts)
    ]


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


def forget_probe_failures(store: FeatureStore, video_ids: Collection[str]) -> None:
    """Let the next plan probe these videos again where they could not be probed before; others stay recorded."""
    if not video_ids:
        return
    ids = pa.array(sorted(video_ids), pa.string())
    for url in parquet.list_parquet(store.folder("failures")):
        if posixpath.basename(url).startswith(_PROBE_PREFIX):
            table = parquet.read_table(url)
            kept = table.filter(pc.invert(pc.is_in(table["video_id"], ids)))
            if not kept.num_rows:
                storage.remove(url)
            elif kept.num_rows < table.num_rows:
                parquet.write_table(url, kept)


def probe_all(
    sources: list[VideoSource], timeline: Timeline, chunk_frames: int, limits: Limits
) -> Iterator[tuple[pa.Table, pa.Table, int]]:
    """(plan rows, failure rows, videos) of one task after the other, as they finish."""

    def probed(batch: list[VideoSource]) -> tuple[pa.Table, pa.Table, int]:
        rows, failures = probe_videos(batch, timeline, chunk_frames, limits)
        return pa.Table.from_pylist(rows, schema=PLAN_SCHEMA), failures_table(failures), len(batch)

    return run_batches(probed, sources, _PROBES_PER_TASK, _PROBE_CPUS)


def write_part(store: FeatureStore, plans: list[pa.Table], failures: list[pa.Table]) -> None:
    """Add tables of `PLAN_SCHEMA` to `<store>/plan/` and of `FAILURES_SCHEMA` to `<store>/failures/`.

    Failures first: a kill between the two writes leaves the planned videos to be probed again.
    """
    name = f"{_PROBE_PREFIX}{uuid.uuid4().hex}.parquet"
    for folder, schema, tables in (("failures", FAILURES_SCHEMA, failures), ("plan", PLAN_SCHEMA, plans)):
        table = pa.concat_tables([schema.empty_table(), *tables])
        if table.num_rows:
            parquet.write_table(storage.join(store.folder(folder), name), table)


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
