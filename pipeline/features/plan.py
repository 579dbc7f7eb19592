"""Planning: probe every new video in parallel and cut it into chunks, the rows of `<store>/plan/`."""

import io
import logging
import posixpath
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.failures import FAILURES_SCHEMA, Failure, FailureKind, failures_table
from pipeline.features.schema import PLAN_SCHEMA, chunk_id
from pipeline.features.sources import VideoSource
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from pipeline.parallel import run_batches
from pipeline.video.errors import VideoError
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
    """

    videos: int
    new: int
    chunks: int
    hours: float


def plan_store(
    store: FeatureStore, sources: list[VideoSource], chunk_frames: int, limits: Limits = DEFAULT_LIMITS
) -> Plan:
    """Bring `<store>/plan/` up to date with `sources`: probe those it does not know, in parallel, and add their chunks.

    A video that cannot be probed becomes a row in `<store>/failures/`. Each part is written atomically, so a killed
    plan is continued by the next call.
    """
    new = new_videos(store, sources)
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
    return _count(store, len(sources), len(new))


def new_videos(
    store: FeatureStore, sources: list[VideoSource], probe_again: bool = False
) -> list[VideoSource]:
    """Those of `sources` that are not planned and, unless `probe_again`, did not fail to be probed."""
    failed = set() if probe_again else set(store.failures()["video_id"].to_pylist())
    known = set(chunks_by_video(store)) | failed
    return [source for source in sources if source.video_id not in known]


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
            "uri": source.uri,
            "chunk_index": index,
            "num_chunks": len(starts),
            "first_snippet": first,
            "num_snippets": min(per_chunk, snippets - first),
            "duration": duration,
            "fps": timeline.rate,
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
            info, _ = process.call(source.uri, tries=2)
        except VideoError as error:
            failures.append(Failure(source.video_id, source.uri, "probe", error.kind, str(error)))
        except OSError as error:
            failures.append(Failure(source.video_id, source.uri, "probe", FailureKind.UNREADABLE, str(error)))
        else:
            resolved = timeline.resolve(info.average_rate)
            rows += cut_chunks(source, info.duration, resolved, chunk_frames)
    return rows, failures


def chunks_by_video(store: FeatureStore) -> Counter[str]:
    """How many chunks are planned of each video, by id."""
    counts: Counter[str] = Counter()
    for file in storage.list_files(store.folder("plan")):
        table = pq.read_table(io.BytesIO(storage.read_bytes(file.url)), columns=["video_id"])
        counts.update(table["video_id"].to_pylist())
    return counts


def forget_probe_failures(store: FeatureStore) -> None:
    """Let the next plan probe again what could not be probed before."""
    for file in storage.list_files(store.folder("failures")):
        if posixpath.basename(file.url).startswith(_PROBE_PREFIX):
            storage.remove(file.url)


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
            with storage.replace_atomically(storage.join(store.folder(folder), name)) as stream:
                pq.write_table(table, stream, compression="zstd")


def _count(store: FeatureStore, videos: int, new: int) -> Plan:
    chunks, seconds = 0, 0.0
    for file in storage.list_files(store.folder("plan")):
        table = pq.read_table(io.BytesIO(storage.read_bytes(file.url)), columns=["chunk_index", "duration"])
        chunks += table.num_rows
        seconds += pc.sum(table.filter(pc.equal(table["chunk_index"], 0))["duration"]).as_py() or 0.0
    return Plan(videos, new, chunks, seconds / 3600)
