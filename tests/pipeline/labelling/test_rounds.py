"""Rounds of videos: each video once, within the budget, and first what a killed round has left."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.failures import read_failures
from pipeline.features.index import StoreIndex
from pipeline.features.store import FeatureStore
from pipeline.labelling.rounds import discard_features, lost_and_discarded, rounds
from tests.pipeline.synthetic import SPEC, make_videos, write_store

VIDEOS = make_videos(12, "test", seed=3)
KEPT, LOST = VIDEOS[0].video_id, VIDEOS[1].video_id


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> StoreIndex:
    """Of a store in which all videos are planned, and one is stored."""
    store = write_store(str(tmp_path_factory.mktemp("store")), VIDEOS)
    stored = write_store(str(tmp_path_factory.mktemp("stored")), VIDEOS[5:6])
    features = Path("features") / "part.parquet"
    (Path(store.url) / features).write_bytes((Path(stored.url) / features).read_bytes())
    return FeatureStore(store.url).index()


@given(todo=st.lists(st.booleans(), min_size=12, max_size=12), snippets=st.integers(1, 2000))
def test_each_video_is_in_one_round_and_no_round_exceeds_its_budget(
    index: StoreIndex, todo: list[bool], snippets: int
) -> None:
    budget = snippets * SPEC.dim * 2
    parts = list(rounds(index, np.array(todo), SPEC.dim, budget))
    assert sorted(np.concatenate([*parts, np.zeros(0, int)]).tolist()) == np.flatnonzero(todo).tolist()
    begun = np.flatnonzero(index.recorded_chunks > 0)
    if todo[begun[0]]:
        assert parts[0].tolist() == begun.tolist()
        parts = parts[1:]
    sizes = [index.num_snippets[rows].sum() * SPEC.dim * 2 for rows in parts]
    assert all(size <= budget or len(rows) == 1 for size, rows in zip(sizes, parts, strict=True))
    # No round could have taken the first video of the next.
    for size, after in zip(sizes, parts[1:], strict=False):
        assert size + index.num_snippets[after[0]] * SPEC.dim * 2 > budget


def test_what_was_lost_outlives_its_features(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    write_store(url, VIDEOS[:2], errors={LOST: "truncated: ends early"})
    store = FeatureStore(url)
    discard_features(store)
    assert not (tmp_path / "store" / "features").exists()
    assert sorted(store.index()) == sorted([KEPT, LOST])
    assert not store.index().recorded_chunks.any()
    assert lost_and_discarded(store) == {LOST}
    (failure,) = read_failures(store.folder("failures"))
    assert (failure.video_id, failure.stage, str(failure.kind)) == (LOST, "extract", "truncated")
    # Extracted again, with another outcome.
    write_store(url, VIDEOS[:2], errors={LOST: "storage: was away"})
    store = FeatureStore(url)
    discard_features(store)
    assert lost_and_discarded(store) == frozenset()  # storage is asked again
    write_store(url, VIDEOS[:2])
    store = FeatureStore(url)
    discard_features(store)
    assert read_failures(store.folder("failures")) == []
