"""Which parameters learn at which pace."""

from typing import Literal

from torch import nn

Role = Literal["default", "slow", "pyramid"]


def parameter_roles(model: nn.Module) -> dict[Role, list[nn.Parameter]]:
    """The trainable parameters of a detector by the pace they need, each in exactly one role.

    "slow" moves places (the queries' reference points, the sampling offsets) and learns at a tenth of the
    rate of "default"; "pyramid" is a temporal feature pyramid, where it has parameters (TP2-DETR 4).
    """
    roles: dict[Role, list[nn.Parameter]] = {"default": [], "slow": [], "pyramid": []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            roles[_role(name)].append(parameter)
    return roles


def decaying_weights(model: nn.Module) -> set[nn.Parameter]:
    """The weights of linear layers and convolutions: no bias, norm, scale or embedding (ActionFormer's code)."""
    return {
        parameter
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.MultiheadAttention)
        for name, parameter in module.named_parameters(recurse=False)
        if name.endswith("weight")
    }


def _role(name: str) -> Role:
    if "reference_points" in name or "sampling_offsets" in name:
        return "slow"
    return "pyramid" if "pyramid" in name.split(".") else "default"
