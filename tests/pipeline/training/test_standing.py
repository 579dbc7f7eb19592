"""The progress line of a run that is watched through a pipe."""

import io
from dataclasses import replace

from rich.console import Console

from pipeline.training.standing import Standing, Teller, shown

STANDING = Standing(
    epoch=3,
    epochs=40,
    losses={"total": 12.3456, "class": 1.0, "l1": 0.25, "tiou": 0.5, "class_layer0": 2.0},
    rate=1e-4,
    windows_per_second=123.4,
    seconds_left=3725.2,
    det_map=None,
)


def test_a_standing_is_one_line() -> None:
    assert str(STANDING) == (
        "epoch 3/40  loss 12.346 (class 1.000, l1 0.250, tiou 0.500)  lr 1.0e-04  123 windows/s  1:02:05 left"
    )
    assert str(replace(STANDING, det_map=0.4567)).endswith("left  det-mAP 45.7")


def test_without_a_terminal_the_first_and_the_last_standing_are_printed(ray_local: None) -> None:
    output = io.StringIO()
    with shown(Console(file=output, width=160)) as queue:
        teller = Teller(queue)
        assert teller.due
        for epoch in range(1, 21):
            teller.tell(replace(STANDING, epoch=epoch))
        assert not teller.due
    lines = output.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/40", "20/40"]
