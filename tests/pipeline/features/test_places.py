"""Rows that carry places are as good as the index that they come from."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.features import store as store_module
from pipeline.features.places import PLACES_SCHEMA, index_of, places_of
from pipeline.features.store import FeatureStore
from tests.pipeline.synthetic import make_videos, write_store

VIDEOS = make_videos(6, "train", seed=3)


def test_places_lead_to_the_features_without_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write_store(str(tmp_path), VIDEOS, chunk=17, errors={"train_002": "decode_error: bad"})
    index = store.index()
    wanted = {name: (video, store.load(name)) for name, video in index.items() if video.complete}
    rows = places_of(index.only(np.flatnonzero(index.complete)))
    assert rows.schema.equals(PLACES_SCHEMA)

    def never(*_: object) -> None:
        raise AssertionError("the index was read")

    monkeypatch.setattr(store_module, "read_rows", never)
    opened = FeatureStore(store.url)
    # A batch is any rows in any order.
    for order in (range(rows.num_rows), [3, 0], [4], []):
        batch = rows.take(list(order)) if order else rows.slice(0, 0)
        knowing = opened.knowing(index_of(batch, opened.spec.timeline))
        assert sorted(batch["video_id"].to_pylist()) == list(knowing.index())
        for name, video in knowing.index().items():
            assert video == wanted[name][0]
            assert (knowing.load(name) == wanted[name][1]).all()
    with pytest.raises(AssertionError, match="the index was read"):
        opened.index()
