"""How far a count has come, in the user's units: done, hours of video, how fast, what failed, what is left."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

# A rate over less time is that of a burst.
_LEAST_SECONDS = 1.0


class Counting(Protocol):
    """A line of the screen that is told how far its work is."""

    def reached(self, done: float, hours: float = 0.0, failed: int = 0) -> None: ...

    def fraction(self) -> float: ...

    def words(self) -> Sequence[str]: ...


class Progress:
    """A count that grows, a line of the screen; safe to use from several threads.

    The rate counts from the first growth on: what comes before is starting, and no measure of the work.

    Args:
        unit: what is counted, in the plural.
        total: how many there are.
        done: how many were done before.
        hours: hours of video in all of them, where that means something.
        hours_done: hours in those done before.
        failed: how many of those done before failed.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        unit: str,
        total: int,
        *,
        done: float = 0.0,
        hours: float | None = None,
        hours_done: float = 0.0,
        failed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unit = unit
        self.total = total
        self.hours = hours
        self._start = (done, hours_done, failed)
        self._now = (done, hours_done, failed)
        self._first: tuple[float, float, float] | None = None  # when it first grew, and to what
        self._last = 0.0
        self._began = clock()
        self._clock = clock
        self._lock = threading.Lock()

    def reached(self, done: float, hours: float = 0.0, failed: int = 0) -> None:
        """So much was done since the start: in units, a part of one included, in hours, and so many failed."""
        with self._lock:
            before = self._now
            self._now = (
                min(self.total, self._start[0] + done),
                self._start[1] + hours if self.hours is None else min(self.hours, self._start[1] + hours),
                self._start[2] + failed,
            )
            if self._now[0] > before[0]:
                self._last = self._clock()
                if self._first is None:
                    self._first = (self._last, self._now[0], self._now[1])

    def gained(self) -> tuple[float, float, int]:
        """Units, hours and failures since the start."""
        with self._lock:
            done, hours, failed = (now - start for now, start in zip(self._now, self._start, strict=True))
            return done, hours, int(failed)

    def fraction(self) -> float:
        """By hours where they are known, for videos are of all lengths."""
        done, hours, _ = self._now
        if self.hours:
            return hours / self.hours
        return done / self.total if self.total else 1.0

    def words(self) -> Sequence[str]:
        """`20/32 videos`, `0.26/0.42 h`, `41x real time`, `3 failed`, `0:01:12 left`, as far as each is known."""
        with self._lock:
            done, hours, failed = self._now
            words = [f"{int(done + 1e-6)}/{self.total} {self.unit}"]
            if self.hours is not None:
                words.append(f"{hours:.2f}/{self.hours:.2f} h")
            if self._first is not None and self._last > self._first[0] + _LEAST_SECONDS:
                began, first_done, first_hours = self._first
                seconds = self._last - began
                if self.hours:
                    speed = (hours - first_hours) / seconds
                    words.append(f"{3600 * speed:.3g}x real time")
                    left = (self.hours - hours) / speed if speed else None
                else:
                    speed = (done - first_done) / seconds
                    words.append(f"{speed:.3g} a second")
                    left = (self.total - done) / speed if speed else None
            else:
                left = None
                if self._first is None:
                    waited = timedelta(seconds=round(self._clock() - self._began))
                    words.append(f"waiting for the first results, {waited}")
            if failed:
                words.append(f"{failed} failed")
            if left:
                left = max(0.0, left - (self._clock() - self._last))
                words.append(f"{timedelta(seconds=round(left))} left")
        return words


class PartOfProgress:
    """A part of the work on some units, after the parts before it: it moves the line of the whole by its share.

    Args:
        whole: the line that is seen.
        share: of all the work on a unit, in (0, 1].
    """

    def __init__(self, whole: Progress, share: float) -> None:
        self._whole, self._share = whole, share
        self._before: tuple[float, float, int] | None = None

    def reached(self, done: float, hours: float = 0.0, failed: int = 0) -> None:
        """So many units, hours and failures since this part began."""
        if self._before is None:
            self._before = self._whole.gained()
        units, before, lost = self._before
        self._whole.reached(units + self._share * done, before + self._share * hours, lost + failed)

    def fraction(self) -> float:
        """Of the whole."""
        return self._whole.fraction()

    def words(self) -> Sequence[str]:
        """Of the whole."""
        return self._whole.words()
