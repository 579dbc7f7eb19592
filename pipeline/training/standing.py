"""How far a run has come, from its first worker to the user's terminal."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import ray
from ray.exceptions import RayError
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.screen import shown

_TELL_SECONDS = 1.0
# A driver that does not take a line so soon is asked again only after a while: training must not wait for it.
_LISTEN_SECONDS = 2.0
_DEAF_SECONDS = 60.0


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        epoch: the epoch that runs, from 1.
        epochs: epochs of the whole run.
        done: the part of the run's steps that is done, in [0, 1].
        losses: recent losses by name, "total" among them.
        rate: learning rate of the default group.
        windows_per_second: over all workers, since this process began.
        seconds_left: expected training time that remains.
        det_map: average det-mAP of the last validation, or None before the first.
    """

    epoch: int
    epochs: int
    done: float
    losses: Mapping[str, float]
    rate: float
    windows_per_second: float
    seconds_left: float
    det_map: float | None

    def words(self) -> Sequence[str]:
        """The standing in a few pieces."""
        terms = ", ".join(
            f"{name} {self.losses[name]:.3f}" for name in ("class", "l1", "tiou") if name in self.losses
        )
        words = [
            f"epoch {self.epoch}/{self.epochs}",
            f"loss {self.losses['total']:.3f} ({terms})",
            f"lr {self.rate:.1e}",
            f"{self.windows_per_second:.0f} windows/s",
        ]
        if self.det_map is not None:
            words.append(f"det-mAP {100 * self.det_map:.1f}")
        return [*words, f"{timedelta(seconds=round(self.seconds_left))} left"]


class Teller:
    """The worker's end: passes a standing on about once a second, and drops the others.

    Nobody needs to listen. Lines that cannot be told are dropped, and the run goes on without them.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue: Queue | None = queue
        self._due = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for another."""
        return self._queue is not None and time.monotonic() >= self._due

    def tell(self, standing: Standing) -> None:
        """Pass it on, due or not."""
        if self._queue is None:
            return
        self._due = time.monotonic() + _TELL_SECONDS
        try:
            told = self._queue.actor.put.remote(standing)
            if not ray.wait([told], timeout=_LISTEN_SECONDS)[0]:
                self._due = time.monotonic() + _DEAF_SECONDS
                return
            ray.get(told)
        except RayError:
            self._queue = None  # the driver's node is gone, or the driver


@contextmanager
def heard() -> Iterator[Queue]:
    """The driver's end: a queue, on its own node, whose latest standing the screen shows while the block runs."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
    ended, line = threading.Event(), _Latest()
    thread = threading.Thread(target=line.follow, args=(queue, ended), daemon=True)
    thread.start()
    try:
        with shown(line, to_the_end=True):
            try:
                yield queue
            finally:
                ended.set()
                thread.join()
    finally:
        queue.shutdown()


class _Latest:
    """The line of a training: its latest standing."""

    def __init__(self) -> None:
        self.standing: Standing | None = None

    def follow(self, queue: Queue, ended: threading.Event) -> None:
        """Take standings as they come, until the run has ended and none is left."""
        while True:
            last_look = ended.is_set()
            try:
                self.standing = queue.get(timeout=0.2)
            except Empty:
                if last_look:
                    return
            except RayError:
                return

    def fraction(self) -> float | None:
        return self.standing.done if self.standing else None

    def words(self) -> Sequence[str]:
        return self.standing.words() if self.standing else ["starting workers"]
