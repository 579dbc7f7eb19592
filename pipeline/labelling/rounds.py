"""Rounds of videos whose features fit a budget, and what remains of features that are discarded."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import parquet, storage
from pipeline.failures import FAILURES_SCHEMA, FailureKind, failures_table
from pipeline.features.failures import failure_of
from pipeline.features.index import StoreIndex
from pipeline.features.store import FeatureStore

_DISCARDED = "discarded.parquet"  # in failures/: what was lost of videos whose features are gone
_FEATURE_BYTES = 2  # float16


def rounds(index: StoreIndex, todo: np.ndarray, dim: int, budget: float) -> Iterator[np.ndarray]:
    """Runs of the videos `todo`, `[V]` bool of an index, each as `[N]` rows, at least one.

    Those of which something is stored come first, together: they are what a killed round has left.

    Args:
        index: of the store.
        todo: the videos.
        dim: numbers in a feature.
        budget: bytes that the features of a round may have, unless it is one video.
    """
    begun = todo & (index.recorded_chunks > 0)
    if begun.any():
        yield np.flatnonzero(begun)
    rows = np.flatnonzero(todo & ~begun)
    ends = np.cumsum(index.num_snippets[rows] * dim * _FEATURE_BYTES)
    first = 0
    while first < len(rows):
        before = ends[first - 1] if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, before + budget, side="right")))
        yield rows[first:stop]
        first = stop


def lost_and_discarded(store: FeatureStore) -> frozenset[str]:
    """Ids of videos that were lost and whose features are discarded; storage that did not answer is asked again."""
    rows = _discarded(store)
    return frozenset(
        rows["video_id"].filter(pc.not_equal(rows["kind"], str(FailureKind.STORAGE))).to_pylist()
    )


def discard_features(store: FeatureStore) -> None:
    """Delete all features of a store whose videos have been dealt with; its plan stays, and what was lost of them.

    A kill at any point leaves a store that says the same.
    """
    index = store.index()
    here = index.ids(index.recorded_chunks > 0)
    if not len(here):
        return
    lost = [failure_of(index.at(row), "extract") for row in np.flatnonzero(index.lost_chunks > 0).tolist()]
    before = _discarded(store)
    before = before.filter(pc.invert(pc.is_in(before["video_id"], value_set=here)))
    together = pa.concat_tables([before, failures_table(lost)])
    if together.num_rows:
        parquet.write_table(_url(store), together)
    else:
        storage.remove(_url(store))
    for name in ("features", "checkpoint", "index"):
        storage.remove(store.folder(name))
    store.forget_index()


def _discarded(store: FeatureStore) -> pa.Table:
    return parquet.read_table(_url(store)) if storage.exists(_url(store)) else FAILURES_SCHEMA.empty_table()


def _url(store: FeatureStore) -> str:
    return storage.join(store.folder("failures"), _DISCARDED)
