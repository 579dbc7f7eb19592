"""Which parameters learn at which pace."""

from torch import nn


def parameter_roles(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The trainable parameters of a detector by the pace they need, each in exactly one role.

    "slow" moves places (the queries' reference points, the sampling offsets) and learns at a tenth of the
    rate of "default" (TP2-DETR 4).
    """
    roles: dict[str, list[nn.Parameter]] = {"default": [], "slow": []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            moves_places = "reference_points" in name or "sampling_offsets" in name
            roles["slow" if moves_places else "default"].append(parameter)
    return roles
