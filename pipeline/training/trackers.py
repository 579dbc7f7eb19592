"""A run's curves in MLflow and in Weights & Biases, for those who ask for it.

They are told by the driver, whose environment has their addresses and credentials. Neither ends a run: one that fails
gets a line, and nothing more. A run that goes on goes on there, too: `trackers.json` keeps its ids.
"""

import importlib
import importlib.util
import logging
import posixpath
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from pipeline import storage
from pipeline.differences import flat
from pipeline.errors import InputError
from pipeline.records import DamagedRecordError, read_record, write_record
from pipeline.training.settings import TrainConfig
from pipeline.training.standing import Point

logger = logging.getLogger(__name__)

_FILE = "trackers.json"
_PROJECT = "raytad"
_PARAMETERS_AT_ONCE = 100  # as many as MLflow takes in a request


class Tracker(Protocol):
    """A tracker's view of one run."""

    id: str

    def log(self, point: Point) -> None: ...

    def close(self) -> None: ...


class _MLflow:
    def __init__(self, name: str, settings: Mapping[str, Any], known: str | None) -> None:
        self._mlflow = importlib.import_module("mlflow")
        if known is None:
            self._mlflow.set_experiment(_PROJECT)
        run = self._mlflow.start_run(run_id=known, run_name=None if known else name)
        self.id: str = run.info.run_id
        if known is None:
            texts = [(key, str(value)) for key, value in settings.items()]
            for first in range(0, len(texts), _PARAMETERS_AT_ONCE):
                self._mlflow.log_params(dict(texts[first : first + _PARAMETERS_AT_ONCE]))

    def log(self, point: Point) -> None:
        self._mlflow.log_metrics(dict(point.figures), step=point.step)

    def close(self) -> None:
        self._mlflow.end_run()


class _WandB:
    def __init__(self, name: str, settings: Mapping[str, Any], known: str | None) -> None:
        wandb = importlib.import_module("wandb")
        self._run = wandb.init(project=_PROJECT, name=name, id=known, resume="allow", config=dict(settings))
        self.id: str = self._run.id

    def log(self, point: Point) -> None:
        self._run.log(dict(point.figures), step=point.step)

    def close(self) -> None:
        self._run.finish()


_TRACKERS: dict[str, Callable[[str, Mapping[str, Any], str | None], Tracker]] = {
    "mlflow": _MLflow,
    "wandb": _WandB,
}


def check_trackers(config: TrainConfig) -> None:
    """Raise InputError where a tracker that `config` names is not installed."""
    for name in config.track:
        if importlib.util.find_spec(name) is None:
            raise InputError(f"track={name}: is not installed; pip install 'raytad[{name}]', or leave it out")


@contextmanager
def tracked(config: TrainConfig) -> Iterator[Callable[[Point], None] | None]:
    """What passes points on to the trackers of a run while the block runs; None where it has none."""
    if not config.track:
        yield None
        return
    url = storage.join(config.run, _FILE)
    try:
        known = read_record(url, dict[str, str], "the ids of a run's trackers") or {}
    except DamagedRecordError:
        known = {}
    run = posixpath.basename(config.run.rstrip("/"))
    settings = flat(config.model_dump(mode="json"))
    working: dict[str, Tracker] = {}
    for kind in config.track:
        with _told(kind, working):
            working[kind] = _TRACKERS[kind](run, settings, known.get(kind))
    write_record(url, known | {kind: tracker.id for kind, tracker in working.items()})

    def log(point: Point) -> None:
        for name, tracker in list(working.items()):
            with _told(name, working):
                tracker.log(point)

    with ExitStack() as ends:
        for name, tracker in working.items():
            ends.callback(_close, name, tracker)
        yield log


def _close(kind: str, tracker: Tracker) -> None:
    with _told(kind, {}):
        tracker.close()


@contextmanager
def _told(kind: str, working: dict[str, Tracker]) -> Iterator[None]:
    """Let what goes wrong in a tracker be a line, and its end."""
    try:
        yield
    except Exception as error:
        working.pop(kind, None)
        reason = " ".join(str(error).split()) or type(error).__name__
        logger.warning("track=%s: gets no more of this run (%s); the run goes on", kind, reason)
