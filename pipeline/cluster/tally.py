"""What the workers of a graph have done so far, counted while it runs: files are closed much later."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.progress import Counting
from pipeline.screen import shown

_SECONDS_BETWEEN_LOOKS = 0.5
_LONGEST_ANSWER = 5.0
# Beyond this many the failed are no longer told apart, which bounds the memory.
_MOST_FAILED = 100_000


class _Counter:
    """The sums, in an actor beside the driver. A row that is done twice, for a worker died, counts twice."""

    def __init__(self) -> None:
        self.done = 0.0
        self.seconds = 0.0
        self.failed: set[str] = set()

    def add(self, done: float, seconds: float, failed: list[str]) -> None:
        self.done += done
        self.seconds += seconds
        if len(self.failed) < _MOST_FAILED:
            self.failed.update(failed)

    def read(self) -> tuple[float, float, int]:
        return self.done, self.seconds, len(self.failed)


class Tally:
    """What workers add to; goes to them as an argument. Nobody waits for it, and nothing depends on it."""

    def __init__(self, counter: Any) -> None:
        self._counter = counter

    def add(self, done: float, seconds: float, failed: list[str]) -> None:
        """So many units were done, a part of one included, of so many seconds of video; these ids failed."""
        self._counter.add.remote(done, seconds, failed)


@contextmanager
def followed(progress: Counting) -> Iterator[Tally]:
    """A tally that the block's graph adds to, and whose sums the screen shows while the block runs."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    counter = ray.remote(_Counter).options(num_cpus=0, scheduling_strategy=here).remote()
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
