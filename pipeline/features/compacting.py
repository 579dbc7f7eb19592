"""The small files of a store, merged: each run adds some to `plan/`, `features/`, `failures/` and `checkpoint/`."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.cluster.merging import Merged, Unit, merge_resumable, merge_tables, small, units_in
from pipeline.failures import FAILURES_SCHEMA, distinct_failures
from pipeline.features.plan import PROBE_PREFIX
from pipeline.features.plan_table import distinct
from pipeline.features.schema import as_features, as_plan
from pipeline.features.store import FeatureStore
from pipeline.screen import phase

logger = logging.getLogger(__name__)


def compact_store(store: FeatureStore, megabytes: float) -> Merged:
    """Merge small files into files of about so many MiB; only the store's one writer may, and a healed store only.

    A kill at any point leaves a store that says the same, and whose work is as much done.
    """
    with phase("merging small files"):
        merged = merge_resumable(store.url, "features", "chunk_id", megabytes, best_rows)
        plan, failures = store.folder("plan"), store.folder("failures")
        merged += merge_tables(plan, _plan_units(store), megabytes, PROBE_PREFIX, _plan_rows)
        merged += merge_tables(failures, _failures_units(store), megabytes, PROBE_PREFIX, _failures)
    store.forget_index()
    store.record_index()
    logger.info("%d small files of %s merged into %d", merged.before, store.url, merged.after)
    return merged


def compact_if_many(store: FeatureStore, megabytes: float, most: int) -> None:
    """`compact_store` where one of its folders has more than `most` small files; 0 never does."""
    looks = (_feature_units, _plan_units, _failures_units)
    if most and any(len(small(units(store), megabytes)) > most for units in looks):
        compact_store(store, megabytes)


def best_rows(tables: list[pa.Table]) -> pa.Table:
    """The rows of tables of features by chunk, in each edition the one of a chunk that a store goes by."""
    rows = pa.concat_tables([as_features(table) for table in tables])
    keys = pa.table(
        {
            "chunk_id": rows["chunk_id"],
            "edition": pc.fill_null(rows["edition"], 0),
            "lost": pc.cast(pc.is_valid(rows["error"]), pa.int8()),
            "duration": rows["duration"],
            "place": np.arange(rows.num_rows)[::-1],  # of equal ones the last
        }
    )
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
    chunk, edition = (keys[name].take(order).combine_chunks() for name in ("chunk_id", "edition"))
    first = np.ones(rows.num_rows, dtype=bool)
    same = pc.and_(pc.equal(chunk[1:], chunk[:-1]), pc.equal(edition[1:], edition[:-1]))
    first[1:] = ~same.to_numpy(zero_copy_only=False)
    return rows.take(order.filter(pa.array(first)))


def _feature_units(store: FeatureStore) -> list[Unit]:
    return units_in(store.folder("features"), store.folder("checkpoint"))


def _plan_units(store: FeatureStore) -> list[Unit]:
    return units_in(store.folder("plan"), None)


def _failures_units(store: FeatureStore) -> list[Unit]:
    """Those of probing; each job has a file of its own besides."""
    units = units_in(store.folder("failures"), None)
    return [unit for unit in units if unit.record.startswith(PROBE_PREFIX)]


def _plan_rows(tables: list[pa.Table]) -> pa.Table:
    return distinct([as_plan(table) for table in tables])


def _failures(tables: list[pa.Table]) -> pa.Table:
    return distinct_failures(pa.concat_tables([FAILURES_SCHEMA.empty_table(), *tables]))
