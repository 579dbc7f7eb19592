"""TV-L1 optical flow by OpenCV: the flow that Kinetics-I3D was trained on."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.features.flow.scaling import scale_flow


@dataclass(frozen=True)
class TVL1Flow:
    """TV-L1 (Zach, Pock and Bischof, DAGM 2007) with OpenCV's parameters, on one CPU thread a call.

    Attributes:
        crop: side of the fields.
        rounding: as in `scale_flow`.
    """

    crop: int
    rounding: bool

    def __call__(self, frames: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.float16]:
        """Scaled flow `[P, crop, crop, 2]` from `frames[pairs[:, 0]]` to `frames[pairs[:, 1]]` of `[F, S, S, 3]`."""
        cv2 = opencv()
        cv2.setNumThreads(1)
        estimator = cv2.optflow.DualTVL1OpticalFlow_create()
        grey = {k: cv2.cvtColor(frames[k], cv2.COLOR_RGB2GRAY) for k in np.unique(pairs).tolist()}
        fields = np.empty((len(pairs), self.crop, self.crop, 2), np.float16)
        for field, (first, second) in zip(fields, pairs.tolist(), strict=True):
            flow = torch.from_numpy(estimator.calc(grey[first], grey[second], None))
            field[:] = scale_flow(flow[None], self.crop, self.rounding)[0].numpy()
        return fields


def opencv() -> Any:
    """The module `cv2`. Raises InputError where it, or its contributed optical flow, is not installed."""
    with suppress(ImportError):
        import cv2

        if hasattr(getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create"):
            return cv2
    raise InputError(
        "flow.algorithm=tvl1: needs OpenCV with its contributed modules: "
        "pip install 'raytad[flow]', and no other opencv package beside it"
    )
