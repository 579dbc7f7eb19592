"""Learning rates by role and over time."""

from itertools import pairwise

import pytest
import torch
from pydantic import ValidationError

from models.deformable_detr import DeformableDETR, DeformableDETRConfig
from models.detectors import build_detector
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


PUBLISHED = OptimiserConfig(lr=1e-4, warmup_epochs=5, cosine_epochs=35, epochs=35, ema_decay=0.999)


def test_the_rate_rises_from_zero_and_falls_by_a_cosine() -> None:
    steps = 100
    factors = [rate_factor(step, steps, PUBLISHED) for step in range(35 * steps)]
    assert factors[0] == 0
    assert factors[250] == pytest.approx(0.5)
    assert factors[5 * steps] == 1
    assert factors[20 * steps] == pytest.approx(0.5)  # halfway down
    assert all(factor > 0 for factor in factors[1:])
    assert factors[-1] < 1e-5
    assert all(a < b for a, b in pairwise(factors[: 5 * steps + 1]))
    assert all(a > b for a, b in pairwise(factors[5 * steps :]))


def test_a_cosine_may_be_ended_before_its_end() -> None:
    config = PUBLISHED.model_copy(update={"epochs": 45, "cosine_epochs": 65})
    assert rate_factor(44 * 10, 10, config) > 0.2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warmup_steps": 5}, "warmup_steps .* and warmup_epochs"),
        ({"cosine_epochs": 30}, "cosine_epochs .30. must be 35 or more"),
        ({"epochs": 3, "cosine_epochs": 5}, "cosine_epochs .5. must be 6 or more"),
    ],
)
def test_schedules_that_contradict_themselves_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OptimiserConfig(**(PUBLISHED.model_dump() | changes))


def test_decay_spares_all_but_weights_where_it_is_told_to() -> None:
    torch.manual_seed(0)
    model = build_detector(TP2DETRConfig.tiny(num_levels=2), 16, 1)
    optimiser = build_optimiser(
        model, OptimiserConfig(weight_decay=0.05, decay_on="weights", pyramid_lr=1e-5)
    )
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    rates = {id(p): group["base_lr"] for group in optimiser.param_groups for p in group["params"]}
    assert decay.keys() == {id(parameter) for parameter in model.parameters()}
    detr = model.deformable_detr
    block = detr.pyramid.branches[0]
    assert decay[id(block.feed_forward[0].weight)] == 0.05
    assert rates[id(block.feed_forward[0].weight)] == 1e-5
    attention = detr.decoder.layers[0].self_attention.attention
    assert decay[id(attention.in_proj_weight)] == decay[id(attention.out_proj.weight)] == 0.05
    spared = [block.feed_forward[0].bias, block.attention_norm.weight, detr.decoder.position]
    assert {decay[id(parameter)] for parameter in spared} == {0.0}
