"""How far a run has come, from its first worker to the user's terminal."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import ray
from ray.util.queue import Empty, Queue
from rich.console import Console

_TELL_SECONDS = 1.0
_PLAIN_SECONDS = 15.0


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
    """The worker's end: passes a standing on about once a second, and drops the others."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._told = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time for another."""
        return time.monotonic() - self._told >= _TELL_SECONDS

    def tell(self, standing: Standing) -> None:
        """Pass it on, due or not."""
        self._told = time.monotonic()
        self._queue.put(standing)


@contextmanager
def shown(console: Console) -> Iterator[Queue]:
    """The driver's end: a queue whose standings appear on the console while the block runs.

    A terminal shows one line that changes; anything else gets a new line every quarter of a minute and the
    last one.
    """
    queue = Queue(actor_options={"num_cpus": 0})
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
        except ray.exceptions.RayActorError:
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
