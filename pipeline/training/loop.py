"""What each training process does, epoch by epoch."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypedDict

import numpy as np
import ray
import ray.train.torch
import torch
from ray.actor import ActorHandle
from ray.train.collective import broadcast_from_rank_zero
from torch import Tensor

from models.detectors import build_criterion
from pipeline.cluster.insides import is_being_preempted
from pipeline.detector.batches import map_ahead
from pipeline.detector.build import build
from pipeline.detector.checkpoint import Progress, load_optimiser, load_weights, read_info
from pipeline.detector.checkpoint_search import last_checkpoint
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.outages import be_patient
from pipeline.training.averaging import MovingAverage
from pipeline.training.batches import epoch_batches
from pipeline.training.clock import Clock
from pipeline.training.compiling import COMPILED_MULTIPLE, compiled
from pipeline.training.crops import seen_in_epoch
from pipeline.training.feature_statistics import feature_statistics
from pipeline.training.optimisation import build_optimiser, rate_factor, set_rates
from pipeline.training.plan import TrainingPlan
from pipeline.training.reporter import Reporter
from pipeline.training.saving import CheckpointWriter
from pipeline.training.standing import Teller
from pipeline.training.step import NO_WISHES, DivergedError, Share, TrainStep, Wishes, read_share
from pipeline.training.validation import validate
from pipeline.training.workers import Workers


class LoopConfig(TypedDict):
    """What Ray Train hands to each worker.

    Attributes:
        plan: a reference to the `TrainingPlan`, whose columns the workers of a node share.
        desk: where the first worker tells how it goes, and hears whether it is to end.
    """

    plan: ray.ObjectRef
    desk: ActorHandle


def train_worker(loop: LoopConfig) -> str | None:
    """Train from the run's last checkpoint, or from the start, to its last epoch.

    Returns what went wrong where the run has diverged: an exception would make Ray try the same again.
    """
    plan: TrainingPlan = ray.get(loop["plan"])
    logging.getLogger().setLevel(logging.WARNING)
    be_patient()
    torch.set_num_threads(max(1, int(plan.config.cpus_per_worker)))
    try:
        TrainingProcess(plan, Workers.current()).run(Teller(loop["desk"]))
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
        self.average: MovingAverage[NormalisedDetector] | None = None
        self.optimiser = build_optimiser(self.detector, config.optimiser)
        self.criterion = build_criterion(config.loss)
        self.progress = Progress(epoch=0, step=0, history=(), windows=len(plan.windows))
        self.steps_per_epoch = len(self._batches(epoch=0))
        self.writer = CheckpointWriter(plan)
        self._is_being_preempted = False

    @property
    def predicts(self) -> NormalisedDetector:
        """The detector whose weights predict: the moving average where there is one."""
        return self.detector if self.average is None else self.average.model

    def run(self, teller: Teller) -> None:
        """Every epoch that is left, or as far as the driver wants. Raises DivergedError, in all workers, where a number
        is none any more.
        """
        config = self.config
        self._restore_or_prepare()
        step = self._step()
        reporter = None
        if self.workers.rank == 0:
            reporter = Reporter(config, teller, self.steps_per_epoch, self.progress.step)
        for epoch in range(self.progress.epoch + 1, config.optimiser.epochs + 1):
            figures = self._train_epoch(epoch, step, reporter, teller)
            if figures is None:
                break
            last = epoch == config.optimiser.epochs
            validation = self.plan.validation
            if validation and (last or epoch % config.validate_every == 0):
                scored = validate(self.predicts, validation, self.cache, self.workers, config)
                figures["det_map"] = scored.average
                thresholds = scored.by_threshold(scored.map_per_threshold).items()
                figures |= {f"det_map_{at}": value for at, value in thresholds if at != "average"}
            history = (*self.progress.history, {"epoch": epoch, **figures})
            self.progress = Progress(
                epoch, epoch * self.steps_per_epoch, history, windows=len(self.plan.windows)
            )
            if reporter:
                reporter.epoch(self.progress)
            wishes, step.wishes = step.wishes, NO_WISHES
            if last or "det_map" in figures or epoch % config.checkpoint_every == 0 or wishes.save:
                self._save_checkpoint()
            if wishes.leave:
                break
        self.writer.wait()
        if reporter:
            reporter.close()
            teller.leave()

    def _step(self) -> TrainStep:
        optimiser = self.config.optimiser
        model = ray.train.torch.prepare_model(self.detector)
        if self.config.compile:
            model = compiled(model)
        return TrainStep(
            model, self.criterion, self.optimiser, self.workers, optimiser.clip_norm, optimiser.accumulate
        )

    def _restore_or_prepare(self) -> None:
        """Take the run up where its last complete checkpoint left it."""
        # One worker looks, so that all agree even if a process of an earlier try still writes.
        found = last_checkpoint(self.config.run) if self.workers.rank == 0 else None
        url = broadcast_from_rank_zero(found.url if found else None)
        if url:
            info = read_info(url)
            load_weights(info, self.detector)
            self.average = self._average()
            self.criterion.normaliser.load_state(load_optimiser(info, self.detector, self.optimiser))
            self.progress = info.progress
            windows = len(self.plan.windows)
            if info.progress.windows != windows:  # an epoch of other windows begins anew
                step = info.progress.epoch * self.steps_per_epoch
                self.progress = replace(info.progress, within=0, sums={}, step=step, windows=windows)
            return
        if self.config.normalise == "standardise":
            statistics = feature_statistics(
                self.cache, self.plan.videos, self.plan.store.spec.dim, self.workers
            )
            self.detector.set_statistics(*statistics)
        self.average = self._average()

    def _average(self) -> MovingAverage[NormalisedDetector] | None:
        """The moving average of the weights, which begins with what they are now, where the run has one."""
        optimiser = self.config.optimiser
        if optimiser.ema_decay is None:
            return None
        return MovingAverage(self.detector, optimiser.ema_decay, optimiser.ema_ramp)

    def _train_epoch(
        self, epoch: int, step: TrainStep, reporter: Reporter | None, teller: Teller
    ) -> dict[str, float] | None:
        """What is left of a pass over the windows.

        Returns:
            The mean of each loss and gradient norm, the last rate, the number of windows, how many were learnt a second
            and the share of time that was spent waiting for them; None where the run is to end before the epoch does.
        """
        optimiser, device = self.config.optimiser, self.workers.device
        batches, first = self._batches(epoch), self.progress.within
        sums: dict[str, Tensor] = {}
        if self.workers.rank == 0:
            sums = {name: torch.tensor(value, device=device) for name, value in self.progress.sums.items()}
        clock, load = Clock(), partial(self._load_share, epoch)
        for index, share in clock.waiting_for(map_ahead(load, batches[first:]), first):
            steps_done = (epoch - 1) * self.steps_per_epoch + index
            factor = rate_factor(steps_done, self.steps_per_epoch, optimiser)
            set_rates(self.optimiser, factor)
            # Of seed, place and worker alone, so that a step after a restart draws what it would have drawn.
            torch.manual_seed(_seed(self.config.seed, epoch, index, self.workers.rank))
            with _told_as(epoch, index, len(batches)):
                losses, norm = step(share, self._wishes(teller))
            if self.average:
                self.average.update(self.detector, steps_done + 1)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value
            sums["grad_norm"] = sums.get("grad_norm", 0) + norm / self.workers.size
            if reporter:
                # The first worker's part stands for the others' until the epoch's exact means are known.
                figures = {name: value * self.workers.size for name, value in losses.items()}
                rate = optimiser.lr * factor
                reporter.step(
                    steps_done + 1,
                    len(batches[index]),
                    rate,
                    clock.share_waited,
                    figures | {"grad_norm": norm},
                )
            if step.wishes != NO_WISHES and index + 1 < len(batches):
                with _told_as(epoch, index + 1, len(batches)):
                    step.settle()
                wishes, step.wishes = step.wishes, NO_WISHES
                self.progress = replace(
                    self.progress, step=steps_done + 1, within=index + 1, sums=self._over_workers(sums)
                )
                self._save_checkpoint()
                if wishes.leave:
                    return None
        with _told_as(epoch, len(batches), len(batches)):
            step.settle()
        means = {name: value / len(batches) for name, value in self._over_workers(sums).items()}
        learnt = sum(map(len, batches[first:]))
        waited = float(self.workers.sum(torch.tensor(clock.share_waited))) / self.workers.size
        return means | {
            "lr": optimiser.lr * factor,
            "windows": len(self.plan.windows),
            "workers": self.workers.size,
            "windows_per_second": learnt / clock.seconds,
            "waiting": waited,
        }

    def _over_workers(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Sums over the steps of each worker, added up."""
        totals = self.workers.sum(torch.stack([value.double().cpu() for value in sums.values()]))
        return dict(zip(sums, totals.tolist(), strict=True))

    def _wishes(self, teller: Teller) -> Wishes:
        """What this worker wants of the others at the next step."""
        noticed = is_being_preempted()
        news, self._is_being_preempted = noticed and not self._is_being_preempted, noticed
        if self.workers.rank > 0:
            return Wishes(save=news)
        self.writer.check()
        return Wishes(save=news or self.writer.due or teller.ends, leave=teller.ends)

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Window indices of each step, over all workers."""
        config = self.config
        # Windows of one length need no sorting, nor do crops, and publications shuffle them freely.
        windows = config.windows
        lengths = self.plan.windows.length if windows.mode == "whole" and windows.crop is None else None
        return epoch_batches(len(self.plan.windows), config.optimiser.batch_size, config.seed, epoch, lengths)

    def _load_share(self, epoch: int, batch: np.ndarray) -> Share:
        """This worker's windows of a batch, or one that does not count where there are not enough for all."""
        mine = batch[self.workers.rank :: self.workers.size]
        rows = mine if len(mine) else batch[:1]
        windows = [seen_in_epoch(self.plan.windows, int(row), self.config.seed, epoch) for row in rows]
        multiple = COMPILED_MULTIPLE if self.config.compile else 1
        return read_share(windows, self.cache, counts=len(mine) > 0, multiple=multiple)

    def _save_checkpoint(self) -> None:
        if self.workers.rank == 0:
            predicts = None if self.average is None else self.average.model
            loss = self.criterion.normaliser.state()
            self.writer.save(self.progress, self.detector, self.optimiser, predicts, loss)


@contextmanager
def _told_as(epoch: int, step: int, steps: int) -> Iterator[None]:
    """Let a divergence say where it was: at step `step` of the epoch, counted from 1."""
    try:
        yield
    except DivergedError as error:
        raise DivergedError(f"epoch {epoch}, step {step} of {steps}: {error}") from None


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
