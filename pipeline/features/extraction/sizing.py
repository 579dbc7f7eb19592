"""How many CPUs and GPUs an archive takes to be done by when, and what that costs, from what a dry run measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.features.backbones.backbone import Inputs
from pipeline.features.extraction.settings import ExtractConfig, SizeConfig


@dataclass(frozen=True)
class StageSize:
    """What a stage takes.

    Attributes:
        stage: its name.
        worker_hours: of one worker that does all of it.
        cpus, gpus: of a worker.
        workers: that are done within the hours wanted; None where none are.
    """

    stage: str
    worker_hours: float
    cpus: float
    gpus: float
    workers: int | None


@dataclass(frozen=True)
class Size:
    """What an archive takes.

    Attributes:
        hours: of video.
        within_hours: in which it is to be done, or None.
        stages: of its extraction, in their order.
        cost: of the hours that its CPUs and GPUs are used, in the currency of the prices; None where there is no price.
    """

    hours: float
    within_hours: float | None
    stages: tuple[StageSize, ...]
    cost: float | None

    @property
    def cpu_hours(self) -> float:
        """CPU hours that workers hold."""
        return sum(stage.worker_hours * stage.cpus for stage in self.stages)

    @property
    def gpu_hours(self) -> float:
        """GPU hours that workers hold."""
        return sum(stage.worker_hours * stage.gpus for stage in self.stages)


def size_of(
    seconds: Mapping[str, float],
    sampled_hours: float,
    archive_hours: float,
    resources: Mapping[str, tuple[float, float]],
    config: SizeConfig,
) -> Size:
    """The size of an archive.

    Args:
        seconds: stage -> what one worker took for the sample.
        sampled_hours: hours of video in the sample.
        archive_hours: of video to extract; `config.hours` goes before.
        resources: stage -> (CPUs, GPUs) of a worker.
        config: what is wanted.
    """
    hours = config.hours or archive_hours
    stages = []
    for stage, spent in seconds.items():
        worker_hours = spent / 3600 * hours / sampled_hours
        cpus, gpus = resources[stage]
        workers = math.ceil(worker_hours / config.within_hours) if config.within_hours else None
        stages.append(StageSize(stage, worker_hours, cpus, gpus, workers))
    size = Size(hours, config.within_hours, tuple(stages), None)
    if config.cpu_price is None and config.gpu_price is None:
        return size
    cost = size.cpu_hours * (config.cpu_price or 0.0) + size.gpu_hours * (config.gpu_price or 0.0)
    return Size(hours, config.within_hours, size.stages, cost)


def worker_resources(config: ExtractConfig, inputs: Inputs) -> tuple[tuple[float, float], ...]:
    """(CPUs, GPUs) of a worker of decoding, of optical flow where there is any, and of the backbone."""
    decode, flow, embed = config.decode, config.flow, config.embed
    of_flow = [(flow.cpus, flow.gpus if flow.algorithm != "tvl1" else 0.0)] if inputs.flow else []
    return ((decode.cpus, 0.0), *of_flow, (embed.cpus, embed.gpus))
