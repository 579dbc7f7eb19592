"""How a backbone wants its pictures: what `FrameSize` says, squashed if need be, and exactly as PIL resizes."""

from dataclasses import dataclass, replace

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from pipeline.video.picture import FrameSize, Maker, source_space

_PIL_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_FULL_SIZE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


@dataclass(frozen=True)
class PictureSize(FrameSize):
    """A FrameSize with the further ways in which networks are fed.

    Attributes:
        squash: both sides become `short_side`, whatever the proportions.
        exact: decode at full size and resize by PIL, to the bit what image pipelines do; otherwise FFmpeg's scaler
            resizes in the step that converts the colours, which is several times cheaper.
    """

    squash: bool = False
    exact: bool = False

    def resized(self, width: int, height: int) -> tuple[int, int]:
        return (self.short_side, self.short_side) if self.squash else super().resized(width, height)

    def uncropped(self) -> "PictureSize":
        """The whole square in the middle."""
        return replace(self, crop=self.short_side)

    def maker(self) -> Maker:
        return ExactPictureMaker(self).make if self.exact else super().maker()


class ExactPictureMaker:
    """Pictures by PIL from frames converted at full size: torchvision's Resize and CenterCrop of an image file."""

    def __init__(self, size: PictureSize) -> None:
        self._size = size
        self._reformatter = VideoReformatter()

    def make(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """The picture `[crop, crop, 3]` of a frame. Raises av.FFmpegError where FFmpeg cannot convert it."""
        rgb = self._reformatter.reformat(
            frame, format="rgb24", src_colorspace=source_space(frame), interpolation=_FULL_SIZE, threads=1
        )
        picture = np.ascontiguousarray(np.rot90(rgb.to_ndarray(), round(frame.rotation / 90)))
        size, crop = self._size, self._size.crop
        width, height = size.resized(picture.shape[1], picture.shape[0])
        left, top = round((width - crop) / 2), round((height - crop) / 2)
        resized = Image.fromarray(picture).resize((width, height), _PIL_FILTERS[size.interpolation])
        return np.asarray(resized.crop((left, top, left + crop, top + crop)))
