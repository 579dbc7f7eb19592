"""The rows of `<store>/plan/`, each chunk once, however often and by whichever version they were written."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import parquet
from pipeline.features.schema import PLAN_SCHEMA, as_plan


def read_plan(folder: str) -> pa.Table:
    """All chunks of the newest edition of each video, once. Raises InputError, naming the file, for a damaged one."""
    return distinct([as_plan(table) for table in parquet.read_folder(folder, parquet.read_table).values()])


def distinct(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of tables of `PLAN_SCHEMA` that count, in their order."""
    plan = pa.concat_tables([PLAN_SCHEMA.empty_table(), *tables])
    counts = rows_that_count(plan)
    return plan if counts.all() else plan.filter(pa.array(counts))


def rows_that_count(plan: pa.Table) -> np.ndarray:
    """`[N]` bool: rows of the newest edition of their video, and the first one with its chunk id."""
    if not plan.num_rows:
        return np.zeros(0, dtype=bool)
    videos = _codes(plan["video_id"])
    editions = pc.fill_null(plan["edition"], 0).to_numpy()
    newest = np.zeros(videos.max() + 1, dtype=editions.dtype)
    np.maximum.at(newest, videos, editions)
    current = np.flatnonzero(editions == newest[videos])
    _, first = np.unique(_codes(plan["chunk_id"])[current], return_index=True)
    counts = np.zeros(plan.num_rows, dtype=bool)
    counts[current[first]] = True
    return counts


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """The same small number for the same text."""
    return column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
