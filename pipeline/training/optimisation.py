"""AdamW with a rate for each role of parameters, and the schedule of these rates."""

import math

import torch
from torch import nn

from models.parameter_roles import Role, decaying_weights, parameter_roles
from pipeline.training.settings import OptimiserConfig


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """One parameter group for each role that the model's parameters have, and for what of it decays.

    Weight decay acts on every parameter, biases and norms included: what TP²-DETR's released code does, and
    neither paper says otherwise. With `decay_on="weights"`, ActionFormer's, it spares all but weights of linear layers
    and convolutions.
    """
    rates: dict[Role, float] = {
        "default": config.lr,
        "slow": config.lr * config.slow_factor,
        "pyramid": config.lr if config.pyramid_lr is None else config.pyramid_lr,
    }
    decaying = decaying_weights(model) if config.decay_on == "weights" else None
    groups = []
    for role, parameters in parameter_roles(model).items():
        spared = [] if decaying is None else [one for one in parameters if one not in decaying]
        decayed = parameters if decaying is None else [one for one in parameters if one in decaying]
        for held, decay in ((decayed, config.weight_decay), (spared, 0.0)):
            if held:
                rate = rates[role]
                groups.append({"params": held, "lr": rate, "base_lr": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def rate_factor(step: int, steps_per_epoch: int, config: OptimiserConfig) -> float:
    """The factor on all learning rates at a step, counted from 0: linear warm-up, then drops or a cosine to 0."""
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    begin = config.warmup_epochs * steps_per_epoch
    if step < begin:
        return step / begin
    if config.cosine_epochs is not None:
        done = (step - begin) / (config.cosine_epochs * steps_per_epoch - begin)
        return warmup * (1 + math.cos(math.pi * min(1.0, done))) / 2
    drops = sum(step // steps_per_epoch >= epoch for epoch in config.drop_epochs)
    return warmup * config.drop_factor**drops


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of each group to its own base rate times `factor`."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor
