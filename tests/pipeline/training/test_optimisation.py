"""Learning rates by role and over time."""

import pytest

from models.deformable_detr import DeformableDETR, DeformableDETRConfig
from models.tp2detr import TP2DETR, TP2DETRConfig
from pipeline.training.optimisation import build_optimiser, rate_factor, set_rates
from pipeline.training.settings import OptimiserConfig

CONFIG = OptimiserConfig(
    lr=1e-3, slow_factor=0.1, epochs=10, drop_epochs=(4, 8), drop_factor=0.5, warmup_steps=3
)


def test_places_learn_at_a_tenth() -> None:
    model = DeformableDETR(DeformableDETRConfig.tiny(), 16, 1)
    optimiser = build_optimiser(model, CONFIG)
    rate_of = {p: group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert len(rate_of) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        slow = "sampling_offsets" in name or "reference_points" in name
        assert rate_of[parameter] == pytest.approx(1e-4 if slow else 1e-3), name


@pytest.mark.parametrize(("pyramid_lr", "expected"), [(None, 1e-3), (2e-5, 2e-5)])
def test_a_pyramid_learns_at_its_own_rate_or_the_usual_one(pyramid_lr: float | None, expected: float) -> None:
    model = TP2DETR(TP2DETRConfig.tiny(), 16, 1)
    optimiser = build_optimiser(model, CONFIG.model_copy(update={"pyramid_lr": pyramid_lr}))
    rate_of = {p: group["lr"] for group in optimiser.param_groups for p in group["params"]}
    pyramid = list(model.deformable_detr.pyramid.parameters())
    assert {rate_of[parameter] for parameter in pyramid} == {expected}
    rest = set(model.parameters()) - set(pyramid)
    assert sorted({rate_of[parameter] for parameter in rest}) == pytest.approx([1e-4, 1e-3])


def test_a_pyramid_without_parameters_makes_no_group() -> None:
    config = CONFIG.model_copy(update={"pyramid_lr": 2e-5})
    optimiser = build_optimiser(TP2DETR(TP2DETRConfig.tiny(pyramid="direct"), 16, 1), config)
    assert sorted(group["lr"] for group in optimiser.param_groups) == pytest.approx([1e-4, 1e-3])


def test_rates_rise_and_drop() -> None:
    factors = [rate_factor(step, 2, CONFIG) for step in range(20)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1] + [1] * 4 + [0.5] * 8 + [0.25] * 4)


def test_without_warm_up_the_first_step_counts_in_full() -> None:
    assert rate_factor(0, 5, CONFIG.model_copy(update={"warmup_steps": 0})) == 1


def test_a_factor_reaches_each_group() -> None:
    optimiser = build_optimiser(DeformableDETR(DeformableDETRConfig.tiny(), 16, 1), CONFIG)
    set_rates(optimiser, 0.5)
    set_rates(optimiser, 0.25)
    assert sorted(group["lr"] for group in optimiser.param_groups) == pytest.approx([2.5e-5, 2.5e-4])
