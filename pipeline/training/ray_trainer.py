"""Ray Train set up for a run."""

import os
from dataclasses import replace
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from pipeline.cluster.insides import InOneLine, has_dashboard, worth_calling
from pipeline.training.loop import train_worker
from pipeline.training.plan import TrainingPlan

# The end of a run waits for the controller's next look, by default two seconds off.
_LOOK_SECONDS = 0.25
# A busy laptop takes longer than the default minute to start a few processes that import torch.
_START_SECONDS = 300
# With [fewest,most] workers Ray may count on a node that has just gone, waits so long for it, and then takes fewer.
_ELASTIC_START_SECONDS = 60
# How often a training of [fewest,most] workers looks whether there is room for more; a change costs the steps since
# the last checkpoint.
_RESIZE_SECONDS = 60.0


def build_trainer(plan: TrainingPlan, desk: ActorHandle, scratch: str) -> TorchTrainer:
    """The trainer whose `fit` brings a run to its last epoch, in a connected Ray.

    Checkpoints are the workers' own; Ray has nothing to keep but a marker in the local folder `scratch`.
    """
    config = plan.config
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", str(_LOOK_SECONDS))
    seconds = _ELASTIC_START_SECONDS if isinstance(config.workers, tuple) else _START_SECONDS
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(seconds))
    if not has_dashboard():
        # A Ray of one's own has no nodes that could be taken away.
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    return _Trainer(
        train_worker,
        train_loop_config={"plan": ray.put(replace(plan, lost=())), "desk": desk},
        scaling_config=ScalingConfig(
            num_workers=config.workers,
            elastic_resize_monitor_interval_s=_RESIZE_SECONDS,
            use_gpu=config.gpus_per_worker > 0,
            label_selector=config.labels,
            resources_per_worker={"CPU": config.cpus_per_worker, "GPU": config.gpus_per_worker},
        ),
        run_config=RunConfig(
            storage_path=scratch,
            failure_config=FailureConfig(
                max_failures=config.max_failures,
                max_preemption_failures=-1 if config.max_preemptions is None else config.max_preemptions,
            ),
            logging_config=LoggingConfig(log_level="WARNING"),
            callbacks=[InOneLine()],
        ),
    )


class _Trainer(TorchTrainer):
    """Ray's trainer, silent in a Ray without a dashboard; Ctrl-C is the job's, which ends it with a checkpoint."""

    def _register_sigint_handler(self, controller: ActorHandle) -> None:
        pass

    def _create_default_callbacks(self) -> list[Any]:
        return worth_calling(super()._create_default_callbacks())
