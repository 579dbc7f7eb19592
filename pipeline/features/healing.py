"""What earlier runs may have left in a store, put right by a writer: half-written, damaged, doubled, outdated files."""

import logging
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import parquet, storage
from pipeline.cluster.resumable import undo_uncommitted
from pipeline.features.plan_table import rows_that_count
from pipeline.features.schema import PLAN_SCHEMA, as_plan
from pipeline.features.store import FeatureStore

logger = logging.getLogger(__name__)


def heal(store: FeatureStore) -> None:
    """Leave only whole files in a store, and each chunk once in its plan. Only the store's one writer may.

    What was in a damaged file is planned, probed or extracted again by the command that heals.
    """
    storage.remove_partial(store.url)
    undo_uncommitted(store.folder("features"), store.folder("checkpoint"))
    _read_or_remove(store.folder("failures"), "its videos are probed again")
    tidy_plan(store)
    store.record_index()
    for url in store.broken_files:
        logger.warning("%s: damaged; its chunks are extracted again", url)
        storage.remove(url)


def tidy_plan(store: FeatureStore) -> None:
    """Leave each chunk once in `plan/`, in files of one schema, and of a replaced video the newest edition only."""
    parts = _read_or_remove(store.folder("plan"), "its videos are planned again")
    tables = [as_plan(table) for table in parts.values()]
    counts = rows_that_count(pa.concat_tables([PLAN_SCHEMA.empty_table(), *tables]))
    dropped = len(counts) - int(counts.sum())
    if dropped:
        logger.warning("%s: %d rows were there twice or are outdated", store.folder("plan"), dropped)
    start = 0
    for (url, written), table in zip(parts.items(), tables, strict=True):
        kept = counts[start : start + table.num_rows]
        start += table.num_rows
        if not kept.all() or not written.schema.equals(PLAN_SCHEMA):
            _replace(url, table.filter(pa.array(kept)))
            store.forget_index()


def forget_plan(store: FeatureStore, video_ids: Collection[str]) -> None:
    """Take videos out of the plan; what is stored of them stays."""
    ids = pa.array(sorted(video_ids), pa.string())
    for url in parquet.list_parquet(store.folder("plan")):
        plan = as_plan(parquet.read_table(url))
        kept = plan.filter(pc.invert(pc.is_in(plan["video_id"], ids)))
        if kept.num_rows < plan.num_rows:
            _replace(url, kept)
            store.forget_index()


def _replace(url: str, table: pa.Table) -> None:
    if table.num_rows:
        parquet.write_table(url, table)
    else:
        storage.remove(url)


def _read_or_remove(folder: str, consequence: str) -> dict[str, pa.Table]:
    """The tables in a folder by URL; damaged files are removed, with a word."""
    tables = {}
    for url in parquet.list_parquet(folder):
        try:
            tables[url] = parquet.read_table(url)
        except parquet.DamagedFileError:
            logger.warning("%s: damaged; %s", url, consequence)
            storage.remove(url)
    return tables
