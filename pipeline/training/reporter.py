"""What the first worker tells the user: curves, and where the run stands."""

import time
from collections.abc import Mapping

from torch import Tensor

from pipeline.training.scalars import ScalarLog
from pipeline.training.settings import TrainConfig
from pipeline.training.standing import Standing, Teller

_STEPS_PER_POINT = 10


class Reporter:
    """Passes figures of steps and epochs on to TensorBoard and to the driver."""

    def __init__(self, config: TrainConfig, teller: Teller, steps_per_epoch: int, first_step: int) -> None:
        """`first_step` is the number of steps that the run had done when this process took it up."""
        self._epochs = config.optimiser.epochs
        self._steps_per_epoch = steps_per_epoch
        self._first_step = first_step
        self._teller = teller
        self._scalars = ScalarLog(config.run, first_step)
        self._started = time.monotonic()
        self._windows = 0
        self._det_map: float | None = None

    def step(self, step: int, windows: int, rate: float, losses: Mapping[str, Tensor]) -> None:
        """Step `step` of the run, counted from 1, has learnt from `windows` windows of all workers.

        Losses stay on their device unless this step is one to draw or to tell.
        """
        self._windows += windows
        draws = step % _STEPS_PER_POINT == 0
        tells = self._teller.due or step == self._epochs * self._steps_per_epoch
        figures = {name: float(loss) for name, loss in losses.items()} if draws or tells else {}
        if draws:
            self._scalars.add("train", {**figures, "lr": rate}, step)
        if tells:
            self._teller.tell(self._standing(step, rate, figures))

    def epoch(self, step: int, figures: Mapping[str, float]) -> None:
        """An epoch has ended with these figures; `det_map` among them where it was validated."""
        self._scalars.add("epoch", figures, step)
        self._scalars.flush()
        self._det_map = figures.get("det_map", self._det_map)

    def close(self) -> None:
        """Make everything durable."""
        self._scalars.close()

    def _standing(self, step: int, rate: float, losses: Mapping[str, float]) -> Standing:
        seconds = time.monotonic() - self._started
        steps_left = self._epochs * self._steps_per_epoch - step
        return Standing(
            epoch=(step - 1) // self._steps_per_epoch + 1,
            epochs=self._epochs,
            done=step / (self._epochs * self._steps_per_epoch),
            losses=losses,
            rate=rate,
            windows_per_second=self._windows / seconds,
            seconds_left=steps_left * seconds / (step - self._first_step),
            det_map=self._det_map,
        )
