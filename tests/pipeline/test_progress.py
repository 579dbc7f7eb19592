"""The words of a count that grows: every figure against a clock that the test turns."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.progress import Progress


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
