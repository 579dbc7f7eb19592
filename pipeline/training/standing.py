"""How far a run has come, from its first worker to the user's terminal, and back from there that it is to end."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipeline.screen import shown

_TELL_SECONDS = 1.0
_LOOK_SECONDS = 0.2
# For a driver that does not take a line so soon training does not wait again until it has.
_LISTEN_SECONDS = 2.0


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


@dataclass(frozen=True)
class Point:
    """Figures of a step, by name, for curves."""

    step: int
    figures: Mapping[str, float]


class _Desk:
    """What lies between the driver and the first worker: an actor on the driver's node."""

    def __init__(self) -> None:
        self._standing: Standing | None = None
        self._points: list[Point] = []
        self._ends = self._left = False

    def tell(self, standing: Standing, points: Sequence[Point]) -> bool:
        """Take what the worker has to say. Returns whether the run is to end."""
        self._standing = standing
        self._points += points
        return self._ends

    def look(self) -> tuple[Standing | None, list[Point]]:
        """The latest standing, and the points since the last look."""
        points, self._points = self._points, []
        return self._standing, points

    def end(self) -> bool:
        """Let the run end at its next step, with a checkpoint. Returns whether it has done a step yet."""
        self._ends = True
        return self._standing is not None

    def leave(self) -> None:
        """The worker has left, and its checkpoint is written."""
        self._left = True

    def has_left(self) -> bool:
        return self._left


class Teller:
    """The worker's end: passes a standing on about once a second, and drops the others.

    Nobody needs to listen. Lines that cannot be told are dropped, and the run goes on without them.

    Attributes:
        ends: whether the driver wants the run to end.
    """

    def __init__(self, desk: ActorHandle) -> None:
        self._desk: ActorHandle | None = desk
        self._late: ray.ObjectRef | None = None  # the answer to a line that was not taken in time
        self._due = time.monotonic()
        self.ends = False

    @property
    def due(self) -> bool:
        """Whether it is time for another."""
        return self._desk is not None and time.monotonic() >= self._due

    def tell(self, standing: Standing, points: Sequence[Point] = ()) -> None:
        """Pass it on, due or not."""
        if self._desk is None:
            return
        self._due = time.monotonic() + _TELL_SECONDS
        try:
            told = self._desk.tell.remote(standing, points)
            in_time = self._late is None or self._is_heard(self._late, 0)
            self._late = None if self._is_heard(told, _LISTEN_SECONDS if in_time else 0) else told
        except RayError:
            self._desk = None  # the driver's node is gone, or the driver

    def _is_heard(self, told: ray.ObjectRef, seconds: float) -> bool:
        if not ray.wait([told], timeout=seconds)[0]:
            return False
        self.ends = ray.get(told)
        return True

    def leave(self) -> None:
        """Tell that the run has ended where it was to, with its checkpoint."""
        if self._desk is not None:
            ray.wait([self._desk.leave.remote()], timeout=_LISTEN_SECONDS)


@contextmanager
def heard(track: Callable[[Point], None] | None = None) -> Iterator[ActorHandle]:
    """The driver's end: a desk, on its own node, whose latest standing the screen shows while the block runs.

    `track` gets each point that was told.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    desk = ray.remote(num_cpus=0, scheduling_strategy=here)(_Desk).remote()
    ended, line = threading.Event(), _Latest(track)
    thread = threading.Thread(target=line.follow, args=(desk, ended), daemon=True)
    thread.start()
    try:
        with shown(line, to_the_end=True):
            try:
                yield desk
            finally:
                ended.set()
                thread.join()
    finally:
        ray.kill(desk)


def end_with_checkpoint(desk: ActorHandle, seconds: float) -> bool:
    """Let the run end at its next step, and wait for its checkpoint, so long at most.

    Returns False where there are steps of which none was written.
    """
    deadline = time.monotonic() + seconds
    try:
        if not ray.get(desk.end.remote(), timeout=seconds):
            return True
        while time.monotonic() < deadline:
            if ray.get(desk.has_left.remote(), timeout=seconds):
                return True
            time.sleep(_LOOK_SECONDS)
    except RayError:
        pass  # Ray ends with the job, or has ended before
    return False


class _Latest:
    """The line of a training: its latest standing."""

    def __init__(self, track: Callable[[Point], None] | None) -> None:
        self.standing: Standing | None = None
        self._track = track

    def follow(self, desk: ActorHandle, ended: threading.Event) -> None:
        """Take standings as they come, until the run has ended, and the last one then."""
        while True:
            last_look = ended.wait(_LOOK_SECONDS)
            try:
                self.standing, points = ray.get(desk.look.remote())
            except RayError:
                return
            if self._track:
                for point in points:
                    self._track(point)
            if last_look:
                return

    def fraction(self) -> float | None:
        return self.standing.done if self.standing else None

    def words(self) -> Sequence[str]:
        return self.standing.words() if self.standing else ["starting workers"]
