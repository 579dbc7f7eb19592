"""What the first worker tells the user: curves, and where the run stands."""

import json
import logging
import time
from collections.abc import Mapping

from ray.util.metrics import Gauge
from torch import Tensor

from pipeline import storage
from pipeline.detector.checkpoint import Progress
from pipeline.errors import InputError
from pipeline.outages import at_once
from pipeline.training.scalars import ScalarLog
from pipeline.training.settings import TrainConfig
from pipeline.training.standing import Point, Standing, Teller

logger = logging.getLogger(__name__)

LINES = "epochs.jsonl"
_STEPS_PER_POINT = 10


class Reporter:
    """Passes figures of steps and epochs on to TensorBoard and to the driver."""

    def __init__(self, config: TrainConfig, teller: Teller, steps_per_epoch: int, first_step: int) -> None:
        """`first_step` is the number of steps that the run had done when this process took it up."""
        self._epochs = config.optimiser.epochs
        self._steps_per_epoch = steps_per_epoch
        self._first_step = first_step
        self._teller = teller
        self._lines = storage.join(config.run, LINES)
        self._tracks = bool(config.track)
        self._points: list[Point] = []
        self._standing_now: Standing | None = None
        self._scalars = ScalarLog(config.run, first_step)
        self._started = time.monotonic()
        self._windows = 0
        self._det_map: float | None = None
        # For Prometheus: ray_raytad_data_wait_share and ray_raytad_windows_per_second.
        self._gauges = {
            "data_wait_share": Gauge("raytad_data_wait_share", "share of the time that waits for windows"),
            "windows_per_second": Gauge("raytad_windows_per_second", "windows that all workers train on"),
        }

    def step(
        self, step: int, windows: int, rate: float, waiting: float, losses: Mapping[str, Tensor]
    ) -> None:
        """Step `step` of the run, counted from 1, has learnt from `windows` windows of all workers.

        `waiting` is the share of the epoch so far in which the first worker waited for windows. Losses stay on their
        device unless this step is one to draw or to tell.
        """
        self._windows += windows
        draws = step % _STEPS_PER_POINT == 0
        tells = self._teller.due or step == self._epochs * self._steps_per_epoch
        figures = {name: float(loss) for name, loss in losses.items()} if draws or tells else {}
        if draws:
            pace = self._windows / (time.monotonic() - self._started)
            self._draw("train", {**figures, "lr": rate, "windows_per_second": pace, "waiting": waiting}, step)
            for name, value in (("data_wait_share", waiting), ("windows_per_second", pace)):
                self._gauges[name].set(value)
        if tells:
            self._standing_now = self._standing(step, rate, figures)
            self._tell()

    def epoch(self, progress: Progress) -> None:
        """An epoch has ended with the last figures of the history; `det_map` among them where it was validated."""
        figures = {name: value for name, value in progress.history[-1].items() if name != "epoch"}
        self._draw("epoch", figures, progress.step)
        self._scalars.flush()
        self._det_map = figures.get("det_map", self._det_map)
        lines = "".join(f"{json.dumps(row)}\n" for row in progress.history)
        try:
            with at_once():
                storage.write_bytes(self._lines, lines.encode())
        except (InputError, OSError) as error:
            logger.warning("%s: not written for now (%s)", self._lines, error)

    def close(self) -> None:
        """Make everything durable."""
        if self._points:
            self._tell()
        self._scalars.close()

    def _draw(self, prefix: str, figures: Mapping[str, float], step: int) -> None:
        self._scalars.add(prefix, figures, step)
        if self._tracks:
            self._points.append(Point(step, {f"{prefix}/{name}": value for name, value in figures.items()}))

    def _tell(self) -> None:
        if self._standing_now is not None:
            points, self._points = self._points, []
            self._teller.tell(self._standing_now, points)

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
