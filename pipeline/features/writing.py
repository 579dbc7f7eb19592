"""Features into a store: the end of every graph that makes them."""

from collections.abc import Callable

import pyarrow as pa
import ray.data

from pipeline.cluster.resumable import write_resumably
from pipeline.cluster.tally import Tally, followed
from pipeline.features.amounts import seconds_in, videos_in
from pipeline.features.schema import FEATURES_SCHEMA
from pipeline.features.store import FeatureStore
from pipeline.progress import Progress

# A small job should still lose little when it is killed, so a file holds at most this part of its chunks.
_LEAST_FILES = 64


def write_features(
    store: FeatureStore,
    transform: Callable[[ray.data.Dataset, Tally], ray.data.Dataset],
    *,
    chunk_snippets: int,
    shard_mb: float,
    rows_per_task: int,
    pending: pa.Table,
    retry_failed: bool,
    source: str | None = None,
) -> None:
    """Turn the rows of a store's plan that are still to do into rows of its features, each exactly once.

    Args:
        store: a store with a plan.
        transform: plan rows to rows of `FEATURES_SCHEMA`; its last stage adds to the tally.
        chunk_snippets: snippets of a whole chunk.
        shard_mb: MiB that a file aims for.
        rows_per_task: consecutive rows that a task of `transform`'s first stage gets.
        pending: the plan rows to do, for the progress.
        retry_failed: do rows with an error again.
        source: URL of a folder with plan rows, and columns of the transform's own, to read instead of the plan.
    """
    spec = store.spec
    row_bytes = chunk_snippets * spec.dim * 2
    with followed(_progress(store, pending)) as tally:
        write_resumably(
            source=source or store.folder("plan"),
            transform=lambda rows: transform(rows, tally),
            target=store.folder("features"),
            checkpoint=store.folder("checkpoint"),
            id_column="chunk_id",
            schema=FEATURES_SCHEMA.with_metadata(
                {"feature_spec": spec.to_json(), "feature_digest": spec.digest.encode()}
            ),
            rows_per_file=max(
                1, min(int(shard_mb * 2**20) // row_bytes, -(-pending.num_rows // _LEAST_FILES))
            ),
            row_bytes=row_bytes,
            rows_per_task=rows_per_task,
            redo=store.redo(retry_failed),
            there=store.feature_files,
        )


def _progress(store: FeatureStore, pending: pa.Table) -> Progress:
    """Of all videos in the store's plan: those that were done before count from the start."""
    videos = store.index()
    hours, hours_left = float(videos.duration.sum()) / 3600, seconds_in(pending) / 3600
    return Progress(
        "videos",
        len(videos),
        done=len(videos) - videos_in(pending),
        hours=hours,
        hours_done=hours - hours_left,
    )
