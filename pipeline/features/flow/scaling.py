"""From flow in pixels to what Kinetics I3D expects."""

from typing import Literal

import torch
from torch import Tensor

BOUND = 20.0  # pixels at which Kinetics-I3D truncates flow


def flow_dtype(rounding: bool) -> Literal["uint8", "float16"]:
    """How flow fields travel between stages."""
    return "uint8" if rounding else "float16"


def scale_flow(flow: Tensor, crop: int, rounding: bool) -> Tensor:
    """Truncate to 20 pixels, scale and cut out the centre, `[N, crop, crop, 2]` float16.

    With `rounding` values are those of published flow pictures, the whole numbers `128 + 255 / 40 * flow` from 0 to
    255, of which a network sees `2 / 255 * value - 1`. Without, they are `flow / 20`, in steps at least 15 times
    finer. What is not finite becomes NaN.

    Args:
        flow: `[N, S, S, 2]` displacements in pixels, x before y.
        crop: side of the result, at most S.
        rounding: whether the result is whole numbers.
    """
    edge = (flow.shape[1] - crop) // 2
    cut = flow[:, edge : edge + crop, edge : edge + crop].float()
    bounded = cut.clamp(-BOUND, BOUND).where(cut.isfinite(), torch.nan)
    scaled = (128 + 255 / (2 * BOUND) * bounded).round().clamp(max=255) if rounding else bounded / BOUND
    return scaled.to(torch.float16)
