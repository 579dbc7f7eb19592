"""The words of a count that grows: every figure against a clock that the test turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.progress import PartOfProgress, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_all_that_a_person_wants_to_know() -> None:
    clock = Clock()
    progress = Progress("videos", 32, done=12, hours=0.42, hours_done=0.16, clock=clock)
    assert progress.words() == ["12/32 videos", "0.16/0.42 h", "waiting for the first results, 0:00:00"]
    clock.now += 50  # starting, which is no measure of the work
    progress.reached(2.5, hours=0.02)
    assert progress.words() == ["14/32 videos", "0.18/0.42 h"]
    clock.now += 10
    progress.reached(8, hours=0.10, failed=3)
    # 0.08 h in 10 s is 28.8 times real time; the other 0.16 h take 20 s.
    assert progress.words() == ["20/32 videos", "0.26/0.42 h", "28.8x real time", "3 failed", "0:00:20 left"]
    assert abs(progress.fraction() - 0.26 / 0.42) < 1e-9
    clock.now += 15  # nothing came meanwhile, and time went by
    assert progress.words()[-1] == "0:00:05 left"


def test_a_count_without_hours_tells_its_own_rate() -> None:
    clock = Clock()
    progress = Progress("videos probed", 12, clock=clock)
    progress.reached(2)
    clock.now += 5
    progress.reached(7, failed=1)
    assert progress.words() == ["7/12 videos probed", "1 a second", "1 failed", "0:00:05 left"]
    assert abs(progress.fraction() - 7 / 12) < 1e-9


def test_results_that_come_at_once_are_no_rate() -> None:
    clock = Clock()
    progress = Progress("videos", 4, clock=clock)
    progress.reached(1)
    clock.now += 1e-5
    progress.reached(2)
    assert progress.words() == ["2/4 videos"]


@given(st.lists(st.floats(0, 1e6), max_size=8), st.integers(0, 50))
def test_work_that_is_done_twice_never_passes_the_total(reached: list[float], total: int) -> None:
    progress = Progress("videos", total, hours=total / 2)
    for done in reached:
        progress.reached(done, hours=done)
        assert 0 <= progress.fraction() <= 1
        assert int(progress.words()[0].partition("/")[0]) <= total


def test_parts_of_the_work_move_one_line_by_their_shares() -> None:
    whole = Progress("videos", 10, done=2, hours=10.0, hours_done=2.0)
    first, second = PartOfProgress(whole, 0.75), PartOfProgress(whole, 0.25)
    first.reached(4, 4.0, failed=1)
    first.reached(8, 8.0, failed=1)  # all, since it began
    assert whole.fraction() == pytest.approx(0.8)
    second.reached(4, 4.0)
    assert second.words()[:2] == ["9/10 videos", "9.00/10.00 h"]
    second.reached(8, 8.0, failed=2)
    assert (whole.fraction(), whole.gained()) == (1.0, (8.0, 8.0, 3))
