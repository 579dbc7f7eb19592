"""Snippet features in memory, as far as a budget allows."""

import threading
from concurrent.futures import Future

import numpy as np

from pipeline.detector.windows import Window
from pipeline.features.store import FeatureStore


class FeatureCache:
    """Reads windows of a store and keeps whole videos in memory until its budget is full.

    Nothing is ever thrown out: training visits all windows once an epoch in random order, so any set of
    videos that stays is as good as any other, and replacing one by another would only read more. Windows of
    videos that found no place are read from the store each time, by range. Safe to use from several threads.
    """

    def __init__(self, store: FeatureStore, budget_mb: float) -> None:
        """Read `store`, and let up to `budget_mb` MiB of its float16 features stay in this process."""
        self._store = store
        self._free = int(budget_mb * 2**20)
        self._videos: dict[str, Future[np.ndarray] | None] = {}
        self._lock = threading.Lock()

    def read(self, window: Window) -> np.ndarray:
        """Features of a window, `[window.length, dim]` float16, or as many rows as it is rescaled to; not to be
        written to.

        Raises InputError where the store lacks them, OutageError where storage stays away.
        """
        video = self._admit(window.video_id)
        if video is None:
            features = self._store.load_range(window.video_id, window.start, window.stop)
        else:
            features = video.result()[window.start : window.stop]
        return window.rescaling.apply(features) if window.rescaling else features

    def _admit(self, video_id: str) -> Future[np.ndarray] | None:
        """The whole video, loaded by the first thread that asks, or None where it finds no place."""
        with self._lock:
            if video_id in self._videos:
                return self._videos[video_id]
            entry = self._store.index().get(video_id)
            size = 0 if entry is None else 2 * entry.num_snippets * self._store.spec.dim
            if size > self._free:
                self._videos[video_id] = None
                return None
            self._free -= size
            video: Future[np.ndarray] = Future()
            self._videos[video_id] = video
        try:
            video.set_result(self._store.load(video_id))
        except BaseException as error:
            video.set_exception(error)
        return video
