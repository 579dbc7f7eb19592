"""Features into a store: the end of every graph that makes them."""

from collections.abc import Callable

import pyarrow as pa
import ray.data

from pipeline import parquet, storage
from pipeline.cluster.resumable import rows_a_task, write_resumably
from pipeline.cluster.tally import Tally, followed
from pipeline.features.amounts import seconds_in, videos_in
from pipeline.features.schema import FEATURES_SCHEMA
from pipeline.features.store import FeatureStore
from pipeline.progress import Counting, Progress

# A small job should still lose little when it is killed, so a file holds at most this part of its chunks.
_LEAST_FILES = 64
_PENDING = "pending"  # of a store, while a job writes features: the plan rows that it does


def write_features(
    store: FeatureStore,
    transform: Callable[[ray.data.Dataset, Tally], ray.data.Dataset],
    *,
    chunk_snippets: int,
    shard_mb: float,
    rows_per_task: int,
    pending: pa.Table,
    progress: Counting | None = None,
) -> None:
    """Turn the rows of a store's plan that are still to do into rows of its features, each exactly once.

    The store has been healed, so that its index tells what is to do.

    Args:
        store: a store with a plan.
        transform: plan rows to rows of `FEATURES_SCHEMA`; its last stage adds to the tally.
        chunk_snippets: snippets of a whole chunk.
        shard_mb: MiB that a file aims for.
        rows_per_task: consecutive rows that a task of `transform`'s first stage gets at least.
        pending: the plan rows to do, with whatever columns the transform wants besides.
        progress: what the screen shows of it; that of all videos of the store unless given.
    """
    spec = store.spec
    row_bytes = chunk_snippets * spec.dim * 2
    # Ray reads what is left, and not the whole plan of an archive that grows by little.
    source = store.folder(_PENDING)
    parquet.write_table(storage.join(source, "rows.parquet"), pending)
    with followed(progress or _progress(store, pending), "features") as tally:
        write_resumably(
            source=source,
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
            rows_per_task=rows_a_task(rows_per_task, pending.num_rows),
            there=store.feature_files,
        )
    storage.remove(source)


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
