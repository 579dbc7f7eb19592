"""A run that goes on from a checkpoint takes the steps that it would have taken, to the bit: no cluster, only steps."""

from pathlib import Path

import pytest
import torch

from models.criterion import Criterion
from models.detection import Target
from models.detectors import DetectorConfig, DetectorLossConfig, build_criterion
from models.tadtr import TadTRConfig, TadTRLossConfig
from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    Progress,
    copy_tensors,
    load_optimiser,
    load_weights,
    read_info,
    write_checkpoint,
)
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.training.averaging import MovingAverage
from pipeline.training.optimisation import build_optimiser
from pipeline.training.settings import OptimiserConfig
from pipeline.training.step import Share, TrainStep
from pipeline.training.workers import Workers
from tests.models.points.cases import POINT_DETECTORS
from tests.pipeline.synthetic import LABELS, SPEC

CPU = torch.device("cpu")
OPTIMISER = OptimiserConfig(lr=1e-3, weight_decay=0.05, decay_on="weights", ema_decay=0.9, ema_ramp=False)
CASES = POINT_DETECTORS | {"tadtr": (TadTRConfig.tiny(), TadTRLossConfig())}
LENGTH = 40


class Run:
    """A detector in training, with what a checkpoint keeps of it."""

    def __init__(self, config: DetectorConfig, loss: DetectorLossConfig) -> None:
        torch.manual_seed(0)
        self.model: NormalisedDetector = build(config, SPEC.dim, len(LABELS), bf16=False)
        self.optimiser = build_optimiser(self.model, OPTIMISER)
        self.criterion: Criterion = build_criterion(loss)
        self.average = MovingAverage(self.model, 0.9, ramp=False)

    def learn(self, steps: range) -> list[float]:
        step = TrainStep(self.model, self.criterion, self.optimiser, Workers(0, 1, CPU), clip_norm=1.0)
        losses = []
        for number in steps:
            torch.manual_seed(number)  # as training does: what a step draws is its own
            losses.append(float(step(share(number))[0]["total"]))
            step.settle()
            self.average.update(self.model, number + 1)
        return losses

    def save(self, url: str) -> None:
        loss = self.criterion.normaliser.state()
        write_checkpoint(
            url,
            progress=Progress(1, 3, ()),
            labels=LABELS,
            feature_spec=SPEC,
            config={},
            tensors=copy_tensors(self.model, self.optimiser, self.average.model, loss),
        )

    def restore(self, url: str) -> None:
        info = read_info(url)
        load_weights(info, self.model)
        self.average = MovingAverage(self.model, 0.9, ramp=False)
        self.criterion.normaliser.load_state(load_optimiser(info, self.model, self.optimiser))


def share(seed: int) -> Share:
    generator = torch.Generator().manual_seed(seed)
    targets = [
        Target(torch.rand(count, 2, generator=generator).sort(dim=1).values, torch.arange(count) % 2)
        for count in (3, 1)
    ]
    padding_mask = torch.arange(LENGTH) >= torch.tensor([[LENGTH], [25]])
    return Share(torch.randn(2, LENGTH, SPEC.dim, generator=generator), padding_mask, targets)


@pytest.mark.parametrize("name", CASES)
def test_steps_after_a_checkpoint_are_those_without_one(name: str, tmp_path: Path) -> None:
    whole = Run(*CASES[name])
    expected = whole.learn(range(6))
    first = Run(*CASES[name])
    begun = first.learn(range(3))
    first.save(str(tmp_path / "checkpoint"))
    second = Run(*CASES[name])
    second.restore(str(tmp_path / "checkpoint"))
    assert begun + second.learn(range(3, 6)) == expected
    for one, other in zip(second.average.model.parameters(), whole.average.model.parameters(), strict=True):
        assert torch.equal(one, other)
