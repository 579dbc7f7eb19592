"""Work in a process that may hang, crash or use up its memory."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.failures import FailureKind
from pipeline.video.errors import VideoError
from pipeline.video.sandbox import Limits, Sandbox, sandbox
from tests.pipeline.poison import PoisonedAnswer

LIMITS = Limits(seconds=3, memory_bytes=200 * 2**20)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    sandbox = Sandbox(PoisonedAnswer, (100,), LIMITS)
    yield sandbox
    sandbox.close()


def test_the_reply_and_the_shared_memory_come_back_and_the_state_stays(box: Sandbox) -> None:
    first, seven = box.call(7, 100_000)
    second, nine = box.call(9, 3)
    third, nothing = box.call(1)
    assert (first, second, third) == (101, 102, 103)
    box.close()
    assert np.frombuffer(seven, np.uint8).tolist() == [7] * 100_000
    assert bytes(nine) == b"\x09" * 3
    assert not nothing


@pytest.mark.parametrize(
    ("poison", "kind", "words"),
    [
        ("hang", FailureKind.TIMEOUT, "longer than 3 s"),
        ("stall", FailureKind.TIMEOUT, "longer than 3 s"),
        ("swallow", FailureKind.OUT_OF_MEMORY, "more memory than 200 MiB"),
        ("segfault", FailureKind.CRASH, "SIGSEGV"),
        ("abort", FailureKind.CRASH, "SIGABRT"),
        ("killed", FailureKind.CRASH, "SIGKILL"),
        ("exit", FailureKind.CRASH, "exit status 0"),
    ],
)
def test_poison_costs_its_request_and_the_next_is_answered(
    box: Sandbox, poison: str, kind: FailureKind, words: str
) -> None:
    assert box.call(1)[0] == 101
    with pytest.raises(VideoError, match=words) as caught:
        box.call(poison, 1000)
    assert caught.value.kind is kind
    assert not box.running
    assert box.call(2)[0] == 101  # a new process, and so a new state


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (VideoError(FailureKind.TRUNCATED, "ends", 2.5), FailureKind.TRUNCATED),
        (KeyError("no such thing"), FailureKind.DECODE_ERROR),
    ],
)
def test_errors_of_the_work_come_through_and_cost_no_process(
    box: Sandbox, error: Exception, kind: FailureKind
) -> None:
    box.call(1)
    with pytest.raises(VideoError) as caught:
        box.call(error)
    assert caught.value.kind is kind
    assert caught.value.end == getattr(error, "end", None)
    assert box.call(1)[0] == 102


@pytest.mark.parametrize("size", [0, 100_000])
def test_a_child_killed_while_idle_costs_the_next_request_nothing(box: Sandbox, size: int) -> None:
    for _ in range(3):
        assert box.call(1, size)[0] == 101  # of a new process, with a new state
        assert box._process is not None
        box._process.kill()
    box._process.wait()
    assert bytes(box.call(9, 3)[1]) == b"\x09" * 3


def test_a_child_that_dies_at_a_request_is_given_a_second_one(box: Sandbox, tmp_path: Path) -> None:
    scar = tmp_path / "scar"
    assert box.call(("killed_once", scar), tries=2)[0] == 101
    assert scar.exists()
    with pytest.raises(VideoError, match="SIGKILL"):
        box.call("killed", tries=2)
    scar.unlink()
    with pytest.raises(VideoError, match="SIGKILL"):
        box.call(("killed_once", scar))


def test_errors_of_the_storage_stay_what_they_are(box: Sandbox) -> None:
    with pytest.raises(OSError, match="the bucket hung up"):
        box.call(ConnectionResetError("the bucket hung up"))


def test_a_process_has_one_sandbox_for_as_long_as_the_work_is_the_same() -> None:
    one = sandbox(PoisonedAnswer, (0,), LIMITS)
    assert one.call(1)[0] == 1
    assert sandbox(PoisonedAnswer, (0,), LIMITS) is one
    other = sandbox(PoisonedAnswer, (5,), LIMITS)
    assert not one.running
    assert other.call(1)[0] == 6
    other.close()


def test_memory_is_used_again_but_never_while_somebody_reads_it(box: Sandbox) -> None:
    parts = []
    for number in range(10):  # at each time there are three readers, who know only arrays made of the memory
        whole = np.frombuffer(box.call(number, 10_000 - number)[1], np.uint8).reshape(-1, 1)
        parts = [*parts[-2:], whole[7:5000:3]]
        del whole
        first = max(0, number - 2)
        assert [set(part.ravel()) for part in parts] == [{n} for n in range(first, number + 1)]
    assert box._lender._made <= 4
    larger = np.frombuffer(box.call(77, 50_000)[1], np.uint8)
    assert set(larger) == {77}
    assert [set(part.ravel()) for part in parts] == [{7}, {8}, {9}]


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    box = Sandbox(PoisonedAnswer, (0,), LIMITS)
    box.call(1)
    assert box._process is not None
    box._connection.close()  # all that a child sees of a parent's death
    assert box._process.wait(30) == 0
