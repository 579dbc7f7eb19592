"""A signal becomes an exception, whatever handler was there before, and what waits for ever is ended."""

import subprocess
import sys

import pytest

PRELUDE = "import os, signal, sys, time; from pipeline import stopping; stopping.arm('job'); "


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + program], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_raises_what_tells_its_status(number: str) -> None:
    ended = run(
        f"""
signal.signal(signal.SIGTERM, signal.SIG_DFL); signal.signal(signal.SIGINT, signal.SIG_DFL)
stopping.rearm()
try:
    os.kill(os.getpid(), signal.{number}); time.sleep(30)
except stopping.Stopped as stopped:
    print(stopped.reason, stopped.status == 128 + signal.{number})
"""
    )
    assert ended.stdout.split()[1:] == [f"({number})", "True"]


def test_other_threads_stop_the_main_one_for_their_own_reason() -> None:
    ended = run(
        """
import threading
threading.Timer(0.1, stopping.stop, ("the disk is full", 1)).start()
try:
    time.sleep(30)
except KeyboardInterrupt as stopped:
    print(stopped.reason, stopped.status)
"""
    )
    assert ended.stdout == "the disk is full 1\n"


def test_what_does_not_end_by_itself_is_ended() -> None:
    ended = run(
        """
stopping._PATIENCE_SECONDS = 0.5
try:
    os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)
except stopping.Stopped:
    time.sleep(30)
"""
    )
    assert ended.returncode == 143
    assert ended.stderr == "job: terminated (SIGTERM); the same command continues where it stopped\n"


def test_a_signal_that_was_to_be_ignored_still_is() -> None:
    ended = run(
        "signal.signal(signal.SIGINT, signal.SIG_IGN); stopping.rearm(); "
        "os.kill(os.getpid(), signal.SIGINT); print('on')"
    )
    assert ended.stdout == "on\n"
