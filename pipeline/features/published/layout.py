"""From an array as somebody published it to `[T, C]` float16."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.failures import FailureKind
from pipeline.features.published.errors import FeatureFileError

Layout = Literal["time_channel", "channel_time"]
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class ArrayRule:
    """Which array of a file is the video's, and what its axes mean.

    Attributes:
        layout: `time_channel` for `[T, C]`, `channel_time` for `[C, T]`.
        key: name of the array in files that hold several.
    """

    layout: Layout = "time_channel"
    key: str | None = None


def snippets_shape(shape: tuple[int, ...], layout: Layout) -> tuple[int, int]:
    """`(T, C)` of a published array's shape.

    Dimensions of length 1 are dropped wherever they are: `[1, T, C]`, `[T, 1, 1, C]`. One dimension that is left is
    the vector of a single snippet; two are `[T, C]`, or `[C, T]` where `layout` is `channel_time`.

    Raises FeatureFileError for any other shape.
    """
    long = tuple(length for length in shape if length != 1)
    if 0 in long:
        raise FeatureFileError(FailureKind.BAD_FEATURES, f"is empty: shape {list(shape)}")
    if len(long) == 1:
        return 1, long[0]
    if len(long) != 2:
        wanted = "[T, C]" if layout == "time_channel" else "[C, T]"
        raise FeatureFileError(
            FailureKind.BAD_FEATURES,
            f"has shape {list(shape)}, which is not {wanted} even without its dimensions of length 1",
        )
    return (long[0], long[1]) if layout == "time_channel" else (long[1], long[0])


def as_snippets(array: np.ndarray, layout: Layout) -> np.ndarray:
    """A `[T, C]` view of a published array. Raises FeatureFileError where `snippets_shape` does."""
    length, width = snippets_shape(array.shape, layout)
    if layout == "time_channel":
        return array.reshape(length, width)
    return array.reshape(width, length).T


def to_half(values: np.ndarray) -> np.ndarray:
    """The same values in float16, C order.

    Raises FeatureFileError where one is NaN, infinite or too large for float16.
    """
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(values, dtype=np.float16)
    lost = np.count_nonzero(~np.isfinite(half))
    if not lost:
        return half
    unreal = values.size - np.count_nonzero(np.isfinite(values))
    if unreal:
        message = f"{unreal} of its {values.size} values are NaN or infinite"
    else:
        message = (
            f"{lost} of its {values.size} values, such as {np.abs(values).max():g}, do not fit float16 "
            f"(at most {_LARGEST:g})"
        )
    raise FeatureFileError(FailureKind.BAD_FEATURES, message)
