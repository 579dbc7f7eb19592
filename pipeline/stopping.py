"""Ending a job before its end, on SIGTERM, on Ctrl-C or because it cannot go on: an exception in the main thread."""

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from pipeline import screen

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# `timeout` and process groups send a signal twice at once; one that comes later is from somebody who has lost patience.
_SAME_SIGNAL_SECONDS = 2.0
_PATIENCE_SECONDS = 30.0
_SIGNALLED = 128  # to which the status of a process that a signal has ended adds the signal's number

CONTINUES = "the same command continues where it stopped"

_armed: str | None = None  # the job
_handlers: dict[int, Any] = {}  # of the signals, before they were armed
_told = False
_pending: "Stopped | None" = None
_since = 0.0


class Stopped(KeyboardInterrupt):
    """The job is to end now. Libraries that tidy up after Ctrl-C do so for it, whatever the cause.

    Attributes:
        reason: what ends it, in a few words.
        status: the exit status.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status

    @property
    def by_signal(self) -> bool:
        """Whether somebody wants the job to end; else it cannot go on."""
        return self.status > _SIGNALLED


def arm(job: str) -> None:
    """From now on SIGTERM and SIGINT raise Stopped in the main thread, unless they were to be ignored.

    A second signal, when some time has passed, ends the process at once; so does the first, in half a minute, if
    nothing else has.
    """
    global _armed
    _armed = job
    for number in _SIGNALS:
        _handlers.setdefault(number, signal.getsignal(number))
    rearm()


def disarm() -> None:
    """Forget the job, for a process that outlives it, as that of tests does."""
    global _armed, _told, _pending, _since
    _armed, _told, _pending, _since = None, False, None, 0.0
    while _handlers:
        signal.signal(*_handlers.popitem())


def rearm() -> None:
    """Put the handlers back after Ray has set its own; nothing where `arm` was not called, as in tests."""
    if not _armed or threading.current_thread() is not threading.main_thread():
        return
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup, or with & in a script
            signal.signal(number, _handle)


def stop(reason: str, status: int) -> bool:
    """Make the main thread raise Stopped; for other threads, which see that the job cannot go on.

    False where nobody would hear it, because `arm` was not called.
    """
    global _pending
    if _armed and _pending is None:
        _pending = Stopped(reason, status)
        os.kill(os.getpid(), signal.SIGTERM)
    return _armed is not None


def tell(job: str, stopped: Stopped) -> None:
    """Print the line with which a job ends, once."""
    global _told
    if not _told:
        _told = True
        screen.say(f"{job}: {stopped.reason}; {CONTINUES}")


def pending() -> Stopped | None:
    """What ends this job, if anything does."""
    return _pending


def as_stopped(error: KeyboardInterrupt | SystemExit) -> Stopped:
    """What ended a job that such an exception has left: Ray's own handlers leave by SystemExit.

    While it starts, SIGTERM has the status 15. Where `ray.get` waits, any exception of a handler comes out of it as a
    plain KeyboardInterrupt.
    """
    if isinstance(error, Stopped):
        return error
    if _pending is not None:
        return _pending
    terminated = isinstance(error, SystemExit) and error.code == signal.SIGTERM
    return _by_signal(signal.SIGTERM if terminated else signal.SIGINT)


def _handle(number: int, frame: FrameType | None) -> None:
    global _pending, _since
    if _since:
        if time.monotonic() - _since > _SAME_SIGNAL_SECONDS:
            screen.show_cursor()
            os._exit(_SIGNALLED + number)
        return
    _since = time.monotonic()
    _pending = _pending or _by_signal(number)
    threading.Thread(target=_end_by_force, args=(_armed or "", _pending), daemon=True).start()
    raise _pending


def _by_signal(number: int) -> Stopped:
    name = "interrupted" if number == signal.SIGINT else "terminated"
    return Stopped(f"{name} ({signal.Signals(number).name})", _SIGNALLED + number)


def _end_by_force(job: str, stopped: Stopped) -> None:
    """What the main thread does not bring to an end, because it waits for something that never comes."""
    time.sleep(_PATIENCE_SECONDS)
    if _pending is stopped:
        screen.show_cursor()
        tell(job, stopped)
        os._exit(stopped.status)
