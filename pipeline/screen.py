"""What a person sees of a job that works: one line that changes, and above it what the job has to say.

What Ray and its processes print meanwhile goes to a file. Where there is no terminal the line is logged now and then.
"""

import contextlib
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 20.0
_DRAWN_A_SECOND = 4
_BAR_WIDTH = 24
# Wide enough for URLs where there is no terminal that has a width.
_PLAIN_WIDTH = 160
_STDOUT, _STDERR = 1, 2


class Line(Protocol):
    """Something that goes on, which the screen asks for its state."""

    def fraction(self) -> float | None:
        """How much of it is done, in [0, 1]; None where nobody can tell."""
        ...

    def words(self) -> Sequence[str]:
        """Its state in a few pieces."""
        ...


class _Screen:
    """The terminal of this process, or what takes its place."""

    def __init__(self) -> None:
        self.job = ""
        self.lines: list[Line] = []
        self.live: Live | None = None
        self.log: str | None = None  # the file that Ray's messages go to
        self._kept: dict[int, int] = {}  # of the diverted descriptors, where they led
        self.out = _console(stderr=False)
        # One console where both are seen, so that what is printed finds the changing line and moves it.
        self.err = self.out if self.out.is_terminal and sys.stderr.isatty() else _console(stderr=True)

    def divert(self) -> None:
        if self._kept or not self.job or not _are_our_own():
            return
        try:
            number, self.log = tempfile.mkstemp(prefix=f"raytad-{self.job}-", suffix=".log")
        except OSError:
            return  # a full disk; Ray will say so, and be heard
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._kept = {descriptor: os.dup(descriptor) for descriptor in (_STDOUT, _STDERR)}
        for descriptor in self._kept:
            os.dup2(number, descriptor)
        os.close(number)
        for console, kept in zip((self.out, self.err), self._kept.values(), strict=True):
            console.file = os.fdopen(os.dup(kept), "w", encoding="utf-8", errors="replace")

    def restore(self) -> None:
        """Let both descriptors lead where they led."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        for descriptor, kept in self._kept.items():
            os.dup2(kept, descriptor)
            os.close(kept)
        if self._kept:
            self._kept = {}
            self.out.file, self.err.file = sys.stdout, sys.stderr

    def draw(self) -> RenderableType:
        if not self.lines:
            return Text("")
        line = self.lines[-1]
        fraction, row = line.fraction(), Table.grid(padding=(0, 1))
        pieces: list[RenderableType] = [Text(self.job, "bold")]
        if fraction is None:
            pieces.append(Spinner("dots"))
        else:
            pieces += [ProgressBar(total=1.0, completed=fraction, width=_BAR_WIDTH), Text(_percent(fraction))]
        for _ in pieces:
            row.add_column(no_wrap=True)
        row.add_column()  # the one to be cut off where the terminal is narrow
        row.add_row(*pieces, Text(" · ".join(line.words()), no_wrap=True, overflow="ellipsis"))
        return row


def take(job: str) -> None:
    """From now on this process's screen is that of a job, whose log lines stand on it."""
    _screen.job = job
    level = os.environ.get("RAYTAD_LOG_LEVEL", "INFO")
    logging.basicConfig(level=level, format="%(message)s", handlers=[_ScreenHandler()])


def divert_ray() -> None:
    """Let what Ray, its processes and any library print go to a file, which a line names.

    Only where a job has taken the screen. Ray starts processes that inherit where this one prints to.
    """
    before = _screen.log
    _screen.divert()
    if _screen.log and _screen.log != before:
        logger.info("what Ray says meanwhile goes to %s", _screen.log)


def give_back() -> None:
    """End the diversion: what is printed from now on is seen, as a traceback must be."""
    _screen.restore()


def log_file() -> str | None:
    """The file that Ray's messages go to; None where they go to the screen."""
    return _screen.log


def only_warnings() -> None:
    """Let a terminal show the changing line, tables and warnings: for a job of several jobs, whose lines are many."""
    if _screen.err.is_terminal:
        logging.getLogger("pipeline").setLevel(logging.WARNING)
        logger.setLevel(logging.INFO)  # which tells where Ray's messages go


def say(text: str) -> None:
    """Print a line on the standard error that the user sees, at once."""
    _screen.err.print(text, soft_wrap=True, highlight=False)
    with contextlib.suppress(OSError, ValueError):
        _screen.err.file.flush()


def terminal() -> Console:
    """The console of jobs: as wide as the terminal, or wide enough for URLs where there is none.

    Paths, class names and messages are printed as they are, brackets and colons too: nothing is read as markup.
    """
    return _screen.out


def show_cursor() -> None:
    """Give the terminal its cursor back, for a process that ends without tidying up."""
    if _screen.live is not None:
        _screen.live.console.show_cursor(True)


@contextmanager
def shown(line: Line, *, to_the_end: bool = False) -> Iterator[None]:
    """Show a line while the block runs; the innermost of several is seen.

    Args:
        line: is asked for its state from another thread.
        to_the_end: log its last state, too, where there is no terminal.
    """
    _screen.lines.append(line)
    try:
        if _screen.live is not None:
            yield
        elif _screen.job and _screen.err.is_terminal:
            with _drawn():
                yield
        else:
            with _logged(line, to_the_end):
                yield
    finally:
        _screen.lines.remove(line)


@contextmanager
def phase(text: str) -> Iterator[None]:
    """Show what the block does, which has no measure: "starting Ray"."""
    with shown(_Phase(text)):
        yield


@contextmanager
def _drawn() -> Iterator[None]:
    live = Live(
        console=_screen.err,
        get_renderable=_screen.draw,
        refresh_per_second=_DRAWN_A_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    _screen.live = live
    try:
        with live:
            yield
    finally:
        _screen.live = None


@contextmanager
def _logged(line: Line, to_the_end: bool) -> Iterator[None]:
    ended, told = threading.Event(), [""]

    def tell() -> None:
        fraction, words = line.fraction(), list(line.words())
        text = ", ".join([_percent(fraction), *words] if fraction is not None else words)
        if text != told[0]:
            logger.info("%s", text)
            told[0] = text

    def follow() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LINES):
            tell()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        if to_the_end:
            tell()


class _Phase:
    """A line for work without a measure."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.began = time.monotonic()

    def fraction(self) -> None:
        return None

    def words(self) -> Sequence[str]:
        return (self.text, f"{time.monotonic() - self.began:.0f} s")


class _ScreenHandler(logging.Handler):
    """Log lines above the line that changes; those of Ray where all that it says goes."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if _screen.log and record.name.partition(".")[0] == "ray":
                print(self.format(record), file=sys.stderr)
            else:
                say(self.format(record))
        except Exception:  # as all handlers do: a line of log must not end a job
            self.handleError(record)


def _console(*, stderr: bool) -> Console:
    """A console on whatever `sys.stdout` or `sys.stderr` are at the time."""
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else _PLAIN_WIDTH
    return Console(stderr=stderr, width=width, markup=False, emoji=False)


def _are_our_own() -> bool:
    """Whether what Python prints goes to this process's own descriptors, and not into a test's hands or a notebook."""
    return sys.stdout is sys.__stdout__ and sys.stderr is sys.__stderr__


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


_screen = _Screen()
