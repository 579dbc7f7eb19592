"""Ray Train set up for a run."""

import os
from dataclasses import replace
from typing import Any

import ray
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.queue import Queue

from pipeline.cluster.insides import InOneLine, has_dashboard, worth_calling
from pipeline.training.loop import train_worker
from pipeline.training.plan import TrainingPlan

# The end of a run waits for the controller's next look, by default two seconds off.
_LOOK_SECONDS = 0.25
# A busy laptop takes longer than the default minute to start a few processes that import torch.
_START_SECONDS = 300


def build_trainer(plan: TrainingPlan, standings: Queue, scratch: str) -> TorchTrainer:
    """The trainer whose `fit` brings a run to its last epoch, in a connected Ray.

    Checkpoints are the workers' own; Ray has nothing to keep but a marker in the local folder `scratch`.
    """
    config = plan.config
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", str(_LOOK_SECONDS))
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(_START_SECONDS))
    if not has_dashboard():
        # A Ray of one's own has no nodes that could be taken away.
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    return _Trainer(
        train_worker,
        train_loop_config={"plan": ray.put(replace(plan, lost=())), "standings": standings},
        scaling_config=ScalingConfig(
            num_workers=config.workers,
            use_gpu=config.gpus_per_worker > 0,
            resources_per_worker={"CPU": config.cpus_per_worker, "GPU": config.gpus_per_worker},
        ),
        run_config=RunConfig(
            storage_path=scratch,
            failure_config=FailureConfig(max_failures=config.max_failures),
            logging_config=LoggingConfig(log_level="WARNING"),
            callbacks=[InOneLine()],
        ),
    )


class _Trainer(TorchTrainer):
    """Ray's trainer, silent in a Ray without a dashboard."""

    def _create_default_callbacks(self) -> list[Any]:
        return worth_calling(super()._create_default_callbacks())
