"""What the workers of a graph have done so far, counted while it runs: files are closed much later."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.metrics import Counter
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.failures import split_error
from pipeline.progress import Counting
from pipeline.screen import shown

_SECONDS_BETWEEN_LOOKS = 0.5
_LONGEST_ANSWER = 5.0
# Beyond this many the failed are no longer told apart, which bounds the memory.
_MOST_FAILED = 100_000


class _Counter:
    """The sums, in an actor beside the driver. A row that is done twice, for a worker died, counts twice.

    They are metrics of Ray as well, which Prometheus reads: `ray_raytad_videos_done_total` and so on.
    """

    def __init__(self, stage: str) -> None:
        self.done = 0.0
        self.seconds = 0.0
        self.failed: set[str] = set()
        self._tags = {"stage": stage}
        keys = tuple(self._tags)
        self._done = Counter("raytad_videos_done", "videos that are done, parts of one included", keys)
        self._seconds = Counter("raytad_video_seconds", "seconds of video that are done", keys)
        self._failed = Counter("raytad_videos_failed", "videos that failed, by kind", (*keys, "kind"))

    def add(self, done: float, seconds: float, errors: dict[str, str]) -> None:
        self.done += done
        self.seconds += seconds
        for counter, more in ((self._done, done), (self._seconds, seconds)):
            if more > 0:
                counter.inc(more, self._tags)
        if len(self.failed) < _MOST_FAILED:
            for video_id in errors.keys() - self.failed:
                self._failed.inc(1, {**self._tags, "kind": str(split_error(errors[video_id])[0])})
            self.failed.update(errors)

    def read(self) -> tuple[float, float, int]:
        return self.done, self.seconds, len(self.failed)


class Tally:
    """What workers add to; goes to them as an argument. Nobody waits for it, and nothing depends on it."""

    def __init__(self, counter: Any) -> None:
        self._counter = counter

    def add(self, done: float, seconds: float, errors: dict[str, str]) -> None:
        """So many videos were done, parts of one included, of so many seconds; these, by id, failed for an error."""
        self._counter.add.remote(done, seconds, errors)


@contextmanager
def followed(progress: Counting, stage: str) -> Iterator[Tally]:
    """A tally that the block's graph adds to, and whose sums the screen shows while the block runs.

    Metrics call it `stage`: what is made, such as `features`.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    counter = ray.remote(_Counter).options(num_cpus=0, scheduling_strategy=here).remote(stage)
    ended = threading.Event()

    def look() -> None:
        try:
            done, seconds, failed = ray.get(counter.read.remote(), timeout=_LONGEST_ANSWER)
        except RayError:
            return  # busy, or gone with its node: nothing but a line of the screen depends on it
        progress.reached(done, seconds / 3600, failed)

    def follow() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            look()

    thread = threading.Thread(target=follow, daemon=True)
    try:
        with shown(progress, to_the_end=True):
            thread.start()
            try:
                yield Tally(counter)
                look()
            finally:
                ended.set()
                thread.join(_LONGEST_ANSWER)
    finally:
        ray.kill(counter)
