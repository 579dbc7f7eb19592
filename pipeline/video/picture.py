"""From a decoded frame to the picture that a network sees: upright RGB, resized, centre-cropped."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

_FILTERS = {"bilinear": Interpolation.BILINEAR, "bicubic": Interpolation.BICUBIC}

# AVColorSpace codes that the scaler knows: RGB, BT.709, unspecified, FCC, BT.470, SMPTE 170M, 240M, BT.2020.
_KNOWN_SPACES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})

Maker: TypeAlias = Callable[[av.VideoFrame], NDArray[np.uint8]]
"""From a frame to its picture `[crop, crop, 3]`. Raises av.FFmpegError where FFmpeg cannot convert it."""

# The same bytes on any processor; it costs nothing measurable.
_REPRODUCIBLE = Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@dataclass(frozen=True)
class FrameSize:
    """How pictures are brought to one size, by the rules of torchvision's Resize and CenterCrop.

    Attributes:
        short_side: pixels of the shorter side after resizing; the longer is `int(short_side * long / short)`.
            Pixels are taken as square, whatever the file says.
        crop: pixels of the square cut from the centre, at most `short_side`.
        interpolation: FFmpeg's filter; like PIL's, it widens when it shrinks (no aliasing).
    """

    short_side: int
    crop: int
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    def __post_init__(self) -> None:
        if not 1 <= self.crop <= self.short_side:
            raise ValueError(f"crop must lie in [1, short_side], not {self.crop} of {self.short_side}")

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of a `width` x `height` picture after resizing."""
        if width <= height:
            return self.short_side, self.short_side * height // width
        return self.short_side * width // height, self.short_side

    def maker(self) -> "Maker":
        """What makes pictures of this size of frames, one after the other."""
        return PictureMaker(self).make


class PictureMaker:
    """Turns decoded frames into pictures of one `FrameSize` with one reused FFmpeg scaler.

    Each frame goes by its own size, pixel format, colour space and range: a change in mid-stream is no
    special case, and a picture depends on nothing that came before it.
    """

    def __init__(self, size: FrameSize) -> None:
        self._size = size
        self._reformatter = VideoReformatter()
        self._filter = _FILTERS[size.interpolation] | _REPRODUCIBLE

    def make(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """The picture `[crop, crop, 3]` of a frame: a read-only view of the scaler's output, rows padded.

        Raises av.FFmpegError where FFmpeg cannot convert the frame.
        """
        width, height = self._size.resized(frame.width, frame.height)
        scaled = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=source_space(frame),
            interpolation=self._filter,
            threads=1,
        )
        plane = scaled.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
        rows.flags.writeable = False
        upright = rows[:, : 3 * width].reshape(height, width, 3)
        if frame.rotation:
            upright = np.rot90(upright, round(frame.rotation / 90))
        return _centre_crop(upright, self._size.crop)


def source_space(frame: av.VideoFrame) -> Colorspace | None:
    """The colour space to convert a frame from: None is its own, which a damaged header may make one unheard of."""
    return None if frame.colorspace in _KNOWN_SPACES else Colorspace.DEFAULT


def _centre_crop(picture: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    top, left = round((picture.shape[0] - crop) / 2), round((picture.shape[1] - crop) / 2)
    return picture[top : top + crop, left : left + crop]
