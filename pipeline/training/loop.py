"""What each training process does, epoch by epoch."""

import logging
from typing import TypedDict

import numpy as np
import ray
import ray.train.torch
import torch
from ray.train.collective import broadcast_from_rank_zero
from ray.util.queue import Queue
from torch import Tensor

from models.detectors import build_criterion
from pipeline import storage
from pipeline.detector.batches import map_ahead
from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    Progress,
    checkpoint_name,
    last_checkpoint,
    load_optimiser,
    load_weights,
    read_info,
    save_checkpoint,
)
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.outages import be_patient
from pipeline.training.batches import epoch_batches
from pipeline.training.feature_statistics import feature_statistics
from pipeline.training.optimisation import build_optimiser, rate_factor, set_rates
from pipeline.training.plan import TrainingPlan
from pipeline.training.reporter import Reporter
from pipeline.training.retention import delete_outdated
from pipeline.training.standing import Teller
from pipeline.training.step import DivergedError, Share, TrainStep, read_share
from pipeline.training.validation import validate
from pipeline.training.workers import Workers


class LoopConfig(TypedDict):
    """What Ray Train hands to each worker.

    Attributes:
        plan: a reference to the `TrainingPlan`, whose columns the workers of a node share.
        standings: where the first worker tells how it goes.
    """

    plan: ray.ObjectRef
    standings: Queue


def train_worker(loop: LoopConfig) -> str | None:
    """Train from the run's last checkpoint, or from the start, to its last epoch.

    Returns what went wrong where the run has diverged: an exception would make Ray try the same again.
    """
    plan: TrainingPlan = ray.get(loop["plan"])
    logging.getLogger().setLevel(logging.WARNING)
    be_patient()
    torch.set_num_threads(max(1, int(plan.config.cpus_per_worker)))
    try:
        TrainingProcess(plan, Workers.current()).run(Teller(loop["standings"]))
    except DivergedError as error:
        return str(error)
    return None


class TrainingProcess:
    """One worker's part in a run."""

    def __init__(self, plan: TrainingPlan, workers: Workers) -> None:
        config, spec = plan.config, plan.store.spec
        torch.manual_seed(config.seed)
        detector = build(config.model, spec.dim, len(plan.labels), bf16=config.precision == "bf16")
        self.plan = plan
        self.config = config
        self.workers = workers
        self.cache = FeatureCache(plan.store, config.cache_mb)
        self.detector: NormalisedDetector = detector.to(workers.device)
        self.optimiser = build_optimiser(self.detector, config.optimiser)
        self.progress = Progress(epoch=0, step=0, history=())
        self.steps_per_epoch = len(self._batches(epoch=0))

    def run(self, teller: Teller) -> None:
        """Every epoch that is left. Raises DivergedError, in all workers, where a number is none any more."""
        config = self.config
        self._restore_or_prepare()
        model = ray.train.torch.prepare_model(self.detector)
        criterion = build_criterion(config.loss)
        step = TrainStep(model, criterion, self.optimiser, self.workers, config.optimiser.clip_norm)
        reporter = None
        if self.workers.rank == 0:
            reporter = Reporter(config, teller, self.steps_per_epoch, self.progress.step)
        for epoch in range(self.progress.epoch + 1, config.optimiser.epochs + 1):
            figures = self._train_epoch(epoch, step, reporter)
            last = epoch == config.optimiser.epochs
            validation = self.plan.validation
            if validation and (last or epoch % config.validate_every == 0):
                scored = validate(self.detector, validation, self.cache, self.workers, config)
                figures["det_map"] = scored.average
            history = (*self.progress.history, {"epoch": epoch, **figures})
            self.progress = Progress(epoch, epoch * self.steps_per_epoch, history)
            if reporter:
                reporter.epoch(self.progress.step, figures)
            if last or "det_map" in figures or epoch % config.checkpoint_every == 0:
                self._save_checkpoint()
        if reporter:
            reporter.close()

    def _restore_or_prepare(self) -> None:
        """Take the run up where its last complete checkpoint left it."""
        # One worker looks, so that all agree even if a process of an earlier try still writes.
        found = last_checkpoint(self.config.run) if self.workers.rank == 0 else None
        url = broadcast_from_rank_zero(found.url if found else None)
        if url:
            info = read_info(url)
            load_weights(info, self.detector)
            load_optimiser(info, self.detector, self.optimiser)
            self.progress = info.progress
        elif self.config.normalise == "standardise":
            statistics = feature_statistics(
                self.cache, self.plan.videos, self.plan.store.spec.dim, self.workers
            )
            self.detector.set_statistics(*statistics)

    def _train_epoch(self, epoch: int, step: TrainStep, reporter: Reporter | None) -> dict[str, float]:
        """One pass over the windows: their number, the mean of each loss and gradient norm, the last rate."""
        optimiser = self.config.optimiser
        # Of seed, epoch and worker alone, so that an epoch after a restart draws what it would have drawn.
        torch.manual_seed(
            int(np.random.SeedSequence([self.config.seed, epoch, self.workers.rank]).generate_state(1)[0])
        )
        sums: dict[str, Tensor] = {}
        batches = self._batches(epoch)
        for index, share in enumerate(map_ahead(self._load_share, batches)):
            steps_done = (epoch - 1) * self.steps_per_epoch + index
            factor = rate_factor(steps_done, self.steps_per_epoch, optimiser)
            set_rates(self.optimiser, factor)
            try:
                losses, norm = step(share)
            except DivergedError as error:
                raise DivergedError(f"epoch {epoch}, step {index + 1} of {len(batches)}: {error}") from None
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value
            sums["grad_norm"] = sums.get("grad_norm", 0) + norm / self.workers.size
            if reporter:
                # The first worker's part stands for the others' until the epoch's exact means are known.
                figures = {name: value * self.workers.size for name, value in losses.items()}
                reporter.step(
                    steps_done + 1, len(batches[index]), optimiser.lr * factor, figures | {"grad_norm": norm}
                )
        totals = self.workers.sum(torch.stack([value.double().cpu() for value in sums.values()]))
        means = dict(zip(sums, (totals / len(batches)).tolist(), strict=True))
        return means | {"lr": optimiser.lr * factor, "windows": len(self.plan.windows)}

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Window indices of each step, over all workers."""
        return epoch_batches(
            len(self.plan.windows), self.config.optimiser.batch_size, self.config.seed, epoch
        )

    def _load_share(self, batch: np.ndarray) -> Share:
        """This worker's windows of a batch, or one that does not count where there are not enough for all."""
        mine = batch[self.workers.rank :: self.workers.size]
        windows = [self.plan.windows[index] for index in (mine if len(mine) else batch[:1])]
        return read_share(windows, self.cache, counts=len(mine) > 0)

    def _save_checkpoint(self) -> None:
        """Save the state into the run, and delete the older checkpoints that are not worth keeping.

        Ray Train is not told of checkpoints: its own list of them would need the storage at every moment, and forgets
        one where a run is stopped at the wrong one.
        """
        if self.workers.rank > 0:
            return
        config = self.config
        save_checkpoint(
            storage.join(config.run, CHECKPOINTS, checkpoint_name(self.progress.epoch)),
            progress=self.progress,
            labels=self.plan.labels,
            feature_spec=self.plan.store.spec,
            config=config.model_dump(mode="json"),
            model=self.detector,
            optimiser=self.optimiser,
            recipe=self.plan.recipe,
        )
        delete_outdated(config.run, self.progress, config.keep_checkpoints)
