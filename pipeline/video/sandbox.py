"""Work on hostile files in a child process, which may hang, crash or use up its memory in place of this one."""

import importlib
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from pipeline.failures import FailureKind
from pipeline.outages import OutageError, first_line, is_outage, leave_waiting_to_others
from pipeline.video.errors import VideoError
from pipeline.video.shared_memory import Borrower, Lender

Handler: TypeAlias = Callable[[Any, memoryview], Any]
"""What the child runs for each request: (request, writable shared memory) -> reply. It may keep a state."""

_START_SECONDS = 300  # to start Python and import; more means that the machine is out of order
_GRACE_SECONDS = 10  # after the time limit the child ends by itself, should this process no longer be there
_PROGRAM = "import sys; from pipeline.video.sandbox import serve; serve(int(sys.argv[1]))"

_current: "Sandbox | None" = None


class _Unheard(EOFError):
    """The child was dead before it had the request."""


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        seconds: wall time.
        memory_bytes: private memory beyond what the child has after it started (Linux only).
    """

    seconds: float = 600.0
    memory_bytes: int = 4 * 2**30


DEFAULT_LIMITS = Limits()


class Sandbox:
    """A child process that answers requests, started at the first one and again after each death.

    Args:
        make: called once in the child with `arguments`; returns the handler. Both are pickled.
        arguments: of `make`.
        limits: of each request.
    """

    def __init__(self, make: Callable[..., Handler], arguments: tuple[Any, ...], limits: Limits) -> None:
        self._work = (make, arguments, limits)
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None

    def does(self, *work: Any) -> bool:
        """Whether it was made with these arguments."""
        return self._work == work

    def call(self, request: Any, size: int = 0, tries: int = 1) -> tuple[Any, memoryview]:
        """The handler's reply, and the `size` bytes that it was given to write to.

        These stay as they are until the memoryview, and every array made of it, is gone. A request at which the child
        dies is asked again, `tries` times in all; one that found it dead (killed while it was idle) does not count.

        Raises VideoError: TIMEOUT, OUT_OF_MEMORY or CRASH where the child overstepped a limit or died, which costs
        its state; the handler's own; DECODE_ERROR for any other of its exceptions, except OSError, which stays one.
        OutageError where storage does not answer the child, which does not wait for it.
        """
        for _ in range(tries - 1):
            try:
                return self._answer(request, size)
            except VideoError as error:
                if error.kind is not FailureKind.CRASH:
                    raise
        return self._answer(request, size)

    def _answer(self, request: Any, size: int) -> tuple[Any, memoryview]:
        try:
            fine, reply, shared = self._ask_alive(request, size)
        except (EOFError, ConnectionError):
            fine, reply, shared = False, self._death(), memoryview(b"")
        except BaseException:
            self.close()  # or its reply would be taken for that to the next request
            raise
        if fine:
            return reply, shared
        if isinstance(reply, MemoryError):
            allowed = f"{self._limits.memory_bytes / 2**20:.0f} MiB"
            reply = VideoError(FailureKind.OUT_OF_MEMORY, f"needs more memory than {allowed}")
        if isinstance(reply, VideoError) and reply.kind in (FailureKind.TIMEOUT, FailureKind.OUT_OF_MEMORY):
            self.close()
        raise reply

    @property
    def running(self) -> bool:
        """Whether there is a child, and with it a state."""
        return self._process is not None

    def close(self) -> None:
        """Kill the child; the next call starts another."""
        if self._process is None:
            return
        self._connection.close()
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # nothing ends a process that waits for a dead disk
            self._process.wait(_GRACE_SECONDS)
        self._process = None

    def _start(self) -> None:
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
            )
            self._connection, self._lender = Connection(ours.detach()), Lender()
        try:
            self._connection.send(self._work)
            if self._connection.poll(_START_SECONDS):
                self._connection.recv()
                return
        except (EOFError, ConnectionError):
            pass
        self.close()
        raise RuntimeError("the process for reading hostile files does not start; the log says why")

    def _ask_alive(self, request: Any, size: int) -> tuple[bool, Any, memoryview]:
        """`_ask`, of a new child where the old one turns out to have died since its last reply."""
        if self._process is not None:
            try:
                return self._ask(request, size)
            except _Unheard:
                self.close()
        self._start()
        return self._ask(request, size)

    def _ask(self, request: Any, size: int) -> tuple[bool, Any, memoryview]:
        """Whether the handler succeeded, its reply or its exception, and what it wrote."""
        assert self._process is not None
        late = VideoError(FailureKind.TIMEOUT, f"takes longer than {self._limits.seconds:g} s")
        try:
            self._connection.send(request)
            shared = self._lender.lend(size, self._connection, self._process.pid)
            if not self._connection.poll(self._limits.seconds):
                return False, late, shared
            self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise _Unheard from error
        if self._connection.poll(self._limits.seconds):
            return *self._connection.recv(), shared
        return False, late, shared

    def _death(self) -> VideoError:
        assert self._process is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_SECONDS)
        status = self._process.returncode or 0
        self.close()
        cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return VideoError(FailureKind.CRASH, f"the process that read it died ({cause})")


def sandbox(make: Callable[..., Handler], arguments: tuple[Any, ...], limits: Limits) -> Sandbox:
    """The one sandbox of this process; that of the last call where it is for the same work."""
    global _current
    if _current is None or not _current.does(make, arguments, limits):
        if _current is not None:
            _current.close()
        _current = Sandbox(make, arguments, limits)
    return _current


def serve(descriptor: int) -> None:
    """What the child does until its parent hangs up."""
    connection, borrower = Connection(descriptor), Borrower()
    leave_waiting_to_others()
    make, arguments, limits = connection.recv()
    handler = make(*arguments)
    _limit_memory(limits.memory_bytes)
    connection.send(None)
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        # The default action of the signal ends a process whatever it does, be it in C.
        signal.setitimer(signal.ITIMER_REAL, limits.seconds + _GRACE_SECONDS)
        try:
            shared = borrower.receive(connection)
            connection.send(None)  # heard: from here on its death is the request's doing
            reply = True, handler(request, shared)
        except Exception as error:
            reply = False, _sendable(error)
        signal.setitimer(signal.ITIMER_REAL, 0)
        connection.send(reply)


def _sendable(error: Exception) -> Exception:
    """What is said of an error: those of storage, and of memory, have kinds that cannot be pickled."""
    if isinstance(error, VideoError | OutageError):
        return error
    if isinstance(error, MemoryError):
        return MemoryError()
    if not _is_ffmpegs(error) and is_outage(error):
        return OutageError(first_line(error))
    if isinstance(error, OSError):
        return OSError(str(error))
    traceback.print_exc()  # nobody foresaw it, and yet it is one file's fault
    return VideoError(FailureKind.DECODE_ERROR, f"{type(error).__name__}: {error}")


def _is_ffmpegs(error: Exception) -> bool:
    """Whether the error is PyAV's, which not every child imports; some of its errors are of storage's classes, too."""
    return any(base.__module__ == "av.error" for base in type(error).mro())


def import_beyond_limit(module: str) -> None:
    """Import a large library in a child without its counting as the request's memory."""
    if sys.platform != "linux" or module in sys.modules:
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    before = _data_bytes()
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    try:
        importlib.import_module(module)
    finally:
        if soft != resource.RLIM_INFINITY:
            soft += max(0, _data_bytes() - before)
            soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _limit_memory(allowance: int) -> None:
    """Let allocations beyond the present ones plus `allowance` bytes fail."""
    if sys.platform != "linux":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _data_bytes() + allowance
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _data_bytes() -> int:
    """The private memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
