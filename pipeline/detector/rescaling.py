"""Features of a whole video brought to a fixed number of rows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Rescaling:
    """How `T` snippets become `length` rows.

    Row `i` stands for the place `(i + 0.5) / length` of the video, so [0, 1] means the same before and after:
    `nearest` takes the snippet around that place, `linear` weighs the two whose centres enclose it (the first
    and the last snippet reach to the ends).
    """

    length: int
    interpolation: Literal["nearest", "linear"]

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Features `[T, C]`, in any precision, to `[length, C]`: as they are for `nearest`, else float32."""
        count, rows = len(features), np.arange(self.length)
        if self.interpolation == "nearest":
            return features[(2 * rows + 1) * count // (2 * self.length)]
        place = ((rows + 0.5) * count / self.length - 0.5).clip(0, count - 1)
        before = place.astype(np.int64)
        after = np.minimum(before + 1, count - 1)
        weight = (place - before).astype(np.float32)[:, None]
        return (
            features[before].astype(np.float32) * (1 - weight) + features[after].astype(np.float32) * weight
        )
