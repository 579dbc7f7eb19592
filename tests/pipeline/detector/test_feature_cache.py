"""The cache gives what the store holds, reads each video once, and stays within its budget."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.rescaling import Rescaling
from pipeline.detector.windows import Window, cut_windows
from pipeline.errors import InputError
from pipeline.features.store import FeatureStore
from tests.pipeline.synthetic import features_of, make_videos, write_store

VIDEOS = make_videos(4, "train", seed=3)


class CountingStore(FeatureStore):
    """A store that counts how often each video is read whole and in part."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.whole: Counter[str] = Counter()
        self.parts: Counter[str] = Counter()

    def load(self, video_id: str) -> np.ndarray:
        self.whole[video_id] += 1
        return super().load(video_id)

    def load_range(self, video_id: str, start: int, stop: int | None) -> np.ndarray:
        self.parts[video_id] += stop is not None
        return super().load_range(video_id, start, stop)


@pytest.fixture
def store(tmp_path) -> CountingStore:
    write_store(str(tmp_path), VIDEOS)
    return CountingStore(str(tmp_path))


def read_everything(cache: FeatureCache) -> None:
    windows = [
        window
        for video in VIDEOS
        for window in cut_windows(video.video_id, len(features_of(video)), length=32, step=8)
    ]
    expected = {video.video_id: features_of(video) for video in VIDEOS}
    with ThreadPoolExecutor(4) as pool:
        for window, features in zip(windows, pool.map(cache.read, windows), strict=True):
            np.testing.assert_array_equal(features, expected[window.video_id][window.start : window.stop])


def test_every_video_is_read_once_where_there_is_room(store: CountingStore) -> None:
    cache = FeatureCache(store, budget_mb=1)
    read_everything(cache)
    read_everything(cache)
    assert store.whole == Counter({video.video_id: 1 for video in VIDEOS})
    assert not +store.parts


def test_what_finds_no_room_is_read_by_window(store: CountingStore) -> None:
    room_for_two = (features_of(VIDEOS[0]).nbytes + features_of(VIDEOS[1]).nbytes) / 2**20
    cache = FeatureCache(store, budget_mb=room_for_two)
    for video in VIDEOS:
        cache.read(Window(video.video_id, 0, 5))
    read_everything(cache)
    assert set(store.whole) >= {VIDEOS[0].video_id, VIDEOS[1].video_id}
    assert sum(features_of(v).nbytes for v in VIDEOS if v.video_id in store.whole) <= room_for_two * 2**20
    assert set(+store.parts) == {video.video_id for video in VIDEOS} - set(store.whole)


def test_a_rescaled_video_has_its_rows_with_room_and_without(store: CountingStore) -> None:
    for interpolation in ("nearest", "linear"):
        rescaling = Rescaling(16, interpolation)
        for video in VIDEOS:
            window = Window(video.video_id, 0, len(features_of(video)), rescaling)
            expected = rescaling.apply(features_of(video))
            assert expected.shape == (16, 4)
            for budget_mb in (1, 1e-6):
                np.testing.assert_array_equal(FeatureCache(store, budget_mb).read(window), expected)


def test_a_video_that_the_store_lacks_is_named(store: CountingStore) -> None:
    with pytest.raises(InputError, match="nowhere"):
        FeatureCache(store, budget_mb=1).read(Window("nowhere", 0, 5))
