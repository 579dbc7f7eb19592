"""Checkpoints written while training goes on."""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import nn

from pipeline import storage
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    Progress,
    checkpoint_name,
    copy_tensors,
    write_checkpoint,
)
from pipeline.training.plan import TrainingPlan
from pipeline.training.retention import delete_outdated


class CheckpointWriter:
    """Writes a run's checkpoints in a thread, one at a time, and deletes the older ones that are not worth keeping.

    A step waits only for the copy of the weights, or where the checkpoint before is not written yet: so at most one
    copy is in memory. What goes wrong is raised by the next call.

    Ray Train is not told of checkpoints: its own list of them would need the storage at every moment, and forgets one
    where a run is stopped at the wrong one.
    """

    def __init__(self, plan: TrainingPlan) -> None:
        self._plan = plan
        self._config: dict[str, Any] = plan.config.model_dump(mode="json")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._since = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is as old as one may get."""
        minutes = self._plan.config.checkpoint_minutes
        return minutes is not None and time.monotonic() - self._since > 60 * minutes

    def save(
        self,
        progress: Progress,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        predicts: nn.Module | None = None,
        loss: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Begin to write a checkpoint of what these are now."""
        self.wait()
        self._since = time.monotonic()
        tensors = copy_tensors(model, optimiser, predicts, loss)
        self._writing = self._thread.submit(self._write, progress, tensors)

    def check(self) -> None:
        """Raise what has gone wrong with a checkpoint, without waiting."""
        if self._writing is not None and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Return when the last checkpoint is written. Raises what has gone wrong with it."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, progress: Progress, tensors: dict[str, dict[str, torch.Tensor]]) -> None:
        plan, run = self._plan, self._plan.config.run
        write_checkpoint(
            storage.join(run, CHECKPOINTS, checkpoint_name(progress.epoch, progress.within)),
            progress=progress,
            labels=plan.labels,
            feature_spec=plan.store.spec,
            config=self._config,
            tensors=tensors,
            recipe=plan.recipe,
        )
        delete_outdated(run, progress, plan.config.keep_checkpoints)
