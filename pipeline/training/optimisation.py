"""AdamW with a rate for each role of parameters, and the schedule of these rates."""

import torch
from torch import nn

from models.parameter_roles import Role, parameter_roles
from pipeline.training.settings import OptimiserConfig


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """One parameter group for each role that the model's parameters have.

    Weight decay acts on every parameter, biases and norms included: what TP²-DETR's released code does, and
    neither paper says otherwise.
    """
    rates: dict[Role, float] = {
        "default": config.lr,
        "slow": config.lr * config.slow_factor,
        "pyramid": config.lr if config.pyramid_lr is None else config.pyramid_lr,
    }
    groups = [
        {"params": parameters, "lr": rates[role], "base_lr": rates[role]}
        for role, parameters in parameter_roles(model).items()
        if parameters
    ]
    return torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def rate_factor(step: int, steps_per_epoch: int, config: OptimiserConfig) -> float:
    """The factor on all learning rates at a step, counted from 0: linear warm-up, then drops."""
    warmup = min(1.0, (step + 1) / (config.warmup_steps + 1))
    drops = sum(step // steps_per_epoch >= epoch for epoch in config.drop_epochs)
    return warmup * config.drop_factor**drops


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of each group to its own base rate times `factor`."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor
