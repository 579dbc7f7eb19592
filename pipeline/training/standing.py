"""How far a run has come, from its first worker to the user's terminal."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import ray
from ray.exceptions import RayError
from ray.util.queue import Empty, Queue
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.console import Console

_TELL_SECONDS = 1.0
_PLAIN_SECONDS = 15.0
# A driver that does not take a line so soon is asked again only after a while: training must not wait for it.
_LISTEN_SECONDS = 2.0
_DEAF_SECONDS = 60.0


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        epoch: the epoch that runs, from 1.
        epochs: epochs of the whole run.
        losses: recent losses by name, "total" among them.
        rate: learning rate of the default group.
        windows_per_second: over all workers, since this process began.
        seconds_left: expected training time that remains.
        det_map: average det-mAP of the last validation, or None before the first.
    """

    epoch: int
    epochs: int
    losses: Mapping[str, float]
    rate: float
    windows_per_second: float
    seconds_left: float
    det_map: float | None

    def __str__(self) -> str:
        terms = ", ".join(
            f"{name} {self.losses[name]:.3f}" for name in ("class", "l1", "tiou") if name in self.losses
        )
        left = timedelta(seconds=round(self.seconds_left))
        validated = "" if self.det_map is None else f"  det-mAP {100 * self.det_map:.1f}"
        return (
            f"epoch {self.epoch}/{self.epochs}  loss {self.losses['total']:.3f} ({terms})  lr {self.rate:.1e}"
            f"  {self.windows_per_second:.0f} windows/s  {left} left{validated}"
        )


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
def shown(console: Console) -> Iterator[Queue]:
    """The driver's end: a queue, on its own node, whose standings appear on the console while the block runs.

    A terminal shows one line that changes; anything else gets a new line every quarter of a minute and the
    last one.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    queue = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
    ended = threading.Event()
    follow = _follow_live if console.is_terminal else _follow_plain
    thread = threading.Thread(target=follow, args=(queue, console, ended), daemon=True)
    thread.start()
    try:
        yield queue
    finally:
        ended.set()
        thread.join()
        queue.shutdown()


def _standings(queue: Queue, ended: threading.Event) -> Iterator[Standing]:
    """Standings as they come, until the block has ended and none is left."""
    while True:
        last_look = ended.is_set()
        try:
            yield queue.get(timeout=0.2)
        except Empty:
            if last_look:
                return
        except RayError:
            return


def _follow_live(queue: Queue, console: Console, ended: threading.Event) -> None:
    with console.status("starting workers") as status:
        for standing in _standings(queue, ended):
            status.update(str(standing))


def _follow_plain(queue: Queue, console: Console, ended: threading.Event) -> None:
    printed, waiting = 0.0, None
    for standing in _standings(queue, ended):
        waiting = standing
        if time.monotonic() - printed >= _PLAIN_SECONDS:
            console.print(str(standing), highlight=False)
            printed, waiting = time.monotonic(), None
    if waiting:
        console.print(str(waiting), highlight=False)
