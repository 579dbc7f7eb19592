"""The rows of `<store>/plan/`: chunks of videos, and the failures of those that could not be looked into."""

import posixpath
import uuid
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import parquet, storage
from pipeline.failures import FAILURES_SCHEMA, FailureKind
from pipeline.features.schema import PLAN_SCHEMA, chunk_id
from pipeline.features.sources import VideoSource, VideoSources
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline

PROBE_PREFIX = "probe-"


def without_failed(store: FeatureStore, sources: Sequence[VideoSource]) -> VideoSources:
    """Those of `sources` that an earlier run did not fail to probe.

    One that failed because of its storage, or as another file, is not among the failed.
    """
    rows = store.failures()
    rows = rows.filter(pc.not_equal(rows["kind"], str(FailureKind.STORAGE)))
    rows = rows.take(pa.array(range(rows.num_rows - 1, -1, -1), pa.int64()))  # of several the last one counts
    sources = VideoSources.of(sources)
    failed = rows["uri"].take(pc.index_in(sources.video_ids, value_set=rows["video_id"]))
    return sources.where(pc.fill_null(pc.not_equal(failed, sources.stored_uris), True))


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


def forget_probe_failures(store: FeatureStore, video_ids: Collection[str] | pa.Array) -> None:
    """Let the next plan probe these videos again where they could not be probed before; others stay recorded."""
    if not len(video_ids):
        return
    ids = video_ids if isinstance(video_ids, pa.Array) else pa.array(sorted(video_ids), pa.string())
    for url in parquet.list_parquet(store.folder("failures")):
        if posixpath.basename(url).startswith(PROBE_PREFIX):
            table = parquet.read_table(url)
            kept = table.filter(pc.invert(pc.is_in(table["video_id"], ids)))
            if not kept.num_rows:
                storage.remove(url)
            elif kept.num_rows < table.num_rows:
                parquet.write_table(url, kept)


def write_part(store: FeatureStore, plans: list[pa.Table], failures: list[pa.Table]) -> None:
    """Add tables of `PLAN_SCHEMA` to `<store>/plan/` and of `FAILURES_SCHEMA` to `<store>/failures/`.

    Failures first: a kill between the two writes leaves the planned videos to be probed again.
    """
    name = f"{PROBE_PREFIX}{uuid.uuid4().hex}.parquet"
    for folder, schema, tables in (("failures", FAILURES_SCHEMA, failures), ("plan", PLAN_SCHEMA, plans)):
        table = pa.concat_tables([schema.empty_table(), *tables])
        if table.num_rows:
            parquet.write_table(storage.join(store.folder(folder), name), table)
