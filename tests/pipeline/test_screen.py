"""What stands on a real terminal, and in a pipe, while a job works and everything else talks."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pyte

REPOSITORY = Path(__file__).resolve().parents[2]

# A job that diverts what others say; the descriptors are written to as Ray's C++ and its processes do.
_JOB = """
import logging, os, subprocess, sys, time
from pipeline import screen
from pipeline.progress import Progress

screen.take("extract")
screen.divert_ray()
progress = Progress("videos", 5)
with screen.shown(progress, to_the_end=True):
    os.write(2, b"raylet talks\\n")
    os.write(1, b"a worker talks\\n")
    subprocess.run([sys.executable, "-c", "print('a child talks')"])
    logging.getLogger("ray.data").warning("Ray's logger talks")
    print("a library talks")
    time.sleep(0.6)
    logging.getLogger("pipeline").info("a job's own line")
    progress.reached(2, failed=1)
    time.sleep(0.6)
screen.terminal().print("the summary")
screen.say("the last line")
"""


def run_in_pty(code: str, columns: int = 90) -> tuple[pyte.Screen, bytes]:
    """Run Python code on a terminal of 90 x 24; the screen as it is left, and all that was sent to it."""
    seen = pyte.Screen(columns, 24)
    stream = pyte.ByteStream(seen)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        os.environ |= {"TERM": "xterm", "COLUMNS": str(columns), "LINES": "24"}
        os.execv(sys.executable, [sys.executable, "-c", code])
    sent = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not data:
            break
        sent += data
        stream.feed(data)
    os.close(terminal)
    os.waitpid(pid, 0)
    return seen, sent


def lines_of(screen: pyte.Screen) -> list[str]:
    return [line.rstrip() for line in screen.display if line.strip()]


def test_a_terminal_shows_one_line_and_nothing_of_what_others_say() -> None:
    seen, sent = run_in_pty(_JOB)
    lines = lines_of(seen)
    assert lines[0].startswith("what Ray says meanwhile goes to /")
    assert lines[1:] == ["a job's own line", "the summary", "the last line"]
    assert not seen.cursor.hidden
    log = Path(lines[0].split()[-1])
    said = log.read_text()
    log.unlink()
    for talker in ("raylet", "a worker", "a child", "Ray's logger", "a library"):
        assert f"{talker} talk" in said
    drawn = pyte.Screen(90, 24)
    # The state in the middle: what was sent before the line was taken away.
    pyte.ByteStream(drawn).feed(sent[: sent.rindex(b"1 failed") + 8])
    assert lines_of(drawn)[-1].startswith("extract ━")
    assert "40 % 2/5 videos · 1 failed" in lines_of(drawn)[-1]


def test_a_narrow_terminal_cuts_the_words_off_and_not_the_bar() -> None:
    _, sent = run_in_pty(_JOB, columns=46)
    drawn = pyte.Screen(46, 24)
    pyte.ByteStream(drawn).feed(sent[: sent.rindex(b"2/5") + 3])
    assert lines_of(drawn)[-1].startswith("extract ━")
    assert "40 %" in lines_of(drawn)[-1]


def test_without_a_terminal_there_are_lines() -> None:
    code = _JOB
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=100, check=True
    )
    first, *others = done.stderr.splitlines()
    Path(first.split()[-1]).unlink()
    assert others == ["a job's own line", "40 %, 2/5 videos, 1 failed", "the last line"]
    assert done.stdout == "the summary\n"


def test_a_traceback_is_seen() -> None:
    code = _JOB + "screen.give_back(); raise RuntimeError('a bug')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=100, check=False
    )
    Path(done.stderr.splitlines()[0].split()[-1]).unlink()
    assert done.stderr.endswith("RuntimeError: a bug\n")


def test_what_tests_and_notebooks_print_stays_theirs() -> None:
    code = "import io, sys; sys.stdout = io.StringIO(); " + (
        "from pipeline import screen; screen.take('extract'); screen.divert_ray(); print('here');"
        "assert screen.log_file() is None; assert sys.stdout.getvalue() == 'here\\n'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, timeout=100, check=True)
