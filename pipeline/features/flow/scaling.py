"""From flow in pixels to what Kinetics I3D expects."""

from typing import Literal

import torch
from torch import Tensor

BOUND = 20.0  # pixels at which Kinetics-I3D truncates flow


def flow_dtype(rounding: bool) -> Literal["uint8", "float16"]:
    """How flow fields travel between stages."""
    return "uint8" if rounding else "float16"


def scale_flow(flow: Tensor, crop: int, rounding: bool) -> Tensor:
    """Truncate to 20 pixels, scale and cut out the centre.

    With `rounding` values are those of published flow pictures, `128 + 255 / 40 * flow` as uint8, of which a network
    sees `2 / 255 * value - 1`. Without, they are `flow / 20` as float16, steps at least 15 times finer.

    Args:
        flow: `[N, S, S, 2]` displacements in pixels, x before y.
        crop: side of the result, at most S.
        rounding: whether the result is uint8.
    """
    edge = (flow.shape[1] - crop) // 2
    cut = flow[:, edge : edge + crop, edge : edge + crop].float().clamp(-BOUND, BOUND)
    if rounding:
        return (128 + 255 / (2 * BOUND) * cut).round().clamp(max=255).to(torch.uint8)
    return (cut / BOUND).to(torch.float16)
