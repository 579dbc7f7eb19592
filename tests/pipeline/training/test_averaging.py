"""The moving average of weights, and what of it a checkpoint keeps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.detector.build import build
from pipeline.detector.checkpoint import (
    Progress,
    copy_tensors,
    load_optimiser,
    load_weights,
    read_info,
    write_checkpoint,
)
from pipeline.training.averaging import MovingAverage
from pipeline.training.optimisation import build_optimiser
from pipeline.training.settings import OptimiserConfig
from tests.pipeline.synthetic import LABELS, SPEC, TINY_DETECTOR


def test_an_average_is_what_its_formula_says() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(2.0)
    average = MovingAverage(model, decay=0.5)
    expected = 2.0
    for step, weight in enumerate(np.random.default_rng(0).normal(size=20), 1):
        model.weight.data.fill_(weight)
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    assert average.model.weight.item() == pytest.approx(expected, rel=1e-5)
    assert not average.model.weight.requires_grad


def test_a_checkpoint_predicts_by_the_average_and_goes_on_with_the_weights(tmp_path: Path) -> None:
    def made() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        model = build(TINY_DETECTOR, SPEC.dim, len(LABELS), bf16=False)
        return model, build_optimiser(model, OptimiserConfig(lr=0.1))

    torch.manual_seed(0)
    model, optimiser = made()
    average = MovingAverage(model, decay=0.9)
    for step in range(1, 3):
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimiser.step()
        average.update(model, step)
    tensors = copy_tensors(model, optimiser, average.model)
    moved = [parameter.clone() for parameter in model.parameters()]
    optimiser.step()  # after the copy was made, as training goes on while it is written
    write_checkpoint(
        str(tmp_path / "checkpoint"),
        progress=Progress(1, 2, ()),
        labels=LABELS,
        feature_spec=SPEC,
        config={},
        tensors=tensors,
    )
    info = read_info(str(tmp_path / "checkpoint"))
    torch.manual_seed(1)
    found, its_optimiser = made()
    load_weights(info, found)
    for parameter, averaged in zip(found.parameters(), average.model.parameters(), strict=True):
        assert torch.equal(parameter, averaged)
    load_optimiser(info, found, its_optimiser)
    for parameter, weight in zip(found.parameters(), moved, strict=True):
        assert torch.equal(parameter, weight)
        assert its_optimiser.state[parameter]["step"] == 2
        assert its_optimiser.state[parameter].keys() == {"step", "exp_avg", "exp_avg_sq"}


def test_without_a_ramp_the_first_weights_count_as_much_as_the_decay_says() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(1.0)
    average = MovingAverage(model, decay=0.999, ramp=False)
    model.weight.data.fill_(2.0)
    average.update(model, 1)
    assert average.model.weight.item() == pytest.approx(1.001)


def test_a_checkpoint_keeps_what_later_losses_depend_on(tmp_path: Path) -> None:
    model = build(TINY_DETECTOR, SPEC.dim, len(LABELS), bf16=False)
    optimiser = build_optimiser(model, OptimiserConfig())
    state = {"positives": torch.tensor(91.4)}
    write_checkpoint(
        str(tmp_path / "checkpoint"),
        progress=Progress(1, 2, ()),
        labels=LABELS,
        feature_spec=SPEC,
        config={},
        tensors=copy_tensors(model, optimiser, loss=state),
    )
    assert load_optimiser(read_info(str(tmp_path / "checkpoint")), model, optimiser) == state
