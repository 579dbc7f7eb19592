"""Predictions as evaluation goes through them: table after table, so that they never lie in memory all at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.annotations.canonical import Annotations
from pipeline.evaluation.class_agnostic import relabelled
from pipeline.evaluation.indexed import IndexedSegments, index_segments, together
from pipeline.segments.check import check_segments
from pipeline.segments.schema import SEGMENTS_SCHEMA

# These columns of all predictions, in tables that may each be read anew.
Tables = Callable[[Sequence[str]], Iterator[pa.Table]]

_SHOWN = 3


@dataclass(frozen=True)
class Overview:
    """What there is to know of predictions before any is scored.

    Attributes:
        labels: all of them, each once.
        video_ids: some of them.
        predicted: `[V]` bool, the videos of the truth that have a prediction.
        whole: no video of the truth is in two tables.
    """

    labels: tuple[str, ...]
    video_ids: tuple[str, ...]
    predicted: np.ndarray
    whole: bool


def tables_of(predictions: pa.Table) -> Tables:
    """Predictions that are one table. Raises InputError where it is no segment table."""
    checked = check_segments(predictions)
    return lambda columns: iter([checked.select(list(columns))])


def gathered(tables: Tables, rows: int) -> Tables:
    """The same predictions, small tables put together until they have at least so many rows.

    Each table is looked up among all videos of the truth: with as many rows as these, that costs no more than reading.
    """

    def larger(columns: Sequence[str]) -> Iterator[pa.Table]:
        waiting: list[pa.Table] = []
        count = 0
        for table in tables(columns):
            waiting.append(table)
            count += table.num_rows
            if count >= rows:
                yield pa.concat_tables(waiting)
                waiting, count = [], 0
        if waiting:
            yield pa.concat_tables(waiting)

    return larger


def look_over(tables: Tables, truth: Annotations) -> Overview:
    """Read the videos and labels of predictions."""
    labels: dict[str, None] = {}
    shown: dict[str, None] = {}
    times = np.zeros(truth.videos.num_rows, dtype=np.int64)
    for table in tables(("video_id", "label")):
        labels |= dict.fromkeys(table["label"].unique().to_pylist())
        ids = table["video_id"].unique()
        shown |= dict.fromkeys(ids[: _SHOWN - len(shown)].to_pylist())
        times += pc.is_in(truth.videos["video_id"], value_set=ids).to_numpy()
    return Overview(tuple(labels), tuple(shown), times > 0, bool(np.all(times <= 1)))


def blocks(tables: Tables, truth: Annotations, *, agnostic: bool, whole: bool) -> Iterator[IndexedSegments]:
    """The predictions in their order, in blocks that have all of their videos' segments.

    Args:
        tables: the predictions.
        truth: whose videos and labels they are told by.
        agnostic: their labels are left out.
        whole: as of their overview.
    """
    read = (relabelled(table) if agnostic else table for table in tables(SEGMENTS_SCHEMA.names))
    indexed = (index_segments(table, truth) for table in read)
    yield from indexed if whole else [together(list(indexed))]
