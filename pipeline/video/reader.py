"""The frames of the time rule: frame `k` of the resampled video as a picture, in runs or in samples."""

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from types import TracebackType
from typing import NamedTuple, Self

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.failures import FailureKind
from pipeline.video.container import Source
from pipeline.video.decoder import ScreenDecoder
from pipeline.video.errors import VideoError
from pipeline.video.picture import FrameSize

# Timestamps are rounded to a clock, in Matroska to milliseconds: up to half of one goes in a frame's favour.
_HALF_A_MILLISECOND = Fraction(1, 2000)


class _Picture(NamedTuple):
    start: float
    stop: float
    pixels: NDArray[np.uint8]


class FrameReader:
    """A video open for reading frames of its resampled version, `fps` frames a second.

    Frame `k` is the frame on screen `k / fps` seconds after the start of the video stream. Moments are
    rounded to the stream's clock, by half a millisecond at most, because the timestamps in the file are.
    What is read never depends on what was read before.

    Reading on from where the last call ended needs no seek. Nor does going back to any of the last `keep`
    pictures: what consecutive chunks share is decoded and converted once.

    Args:
        source: local path, or seekable binary file object, which stays open.
        fps: frames a second of the resampled video, > 0.
        size: size of the pictures.
        keep: pictures to remember, for the overlap of windows that straddle two calls.

    Raises VideoError: UNREADABLE, NO_VIDEO_STREAM, or DECODE_ERROR where FFmpeg has no decoder.
    """

    def __init__(self, source: Source, *, fps: float, size: FrameSize, keep: int = 0) -> None:
        self._fps = Fraction(fps)
        self._decoder = ScreenDecoder(source)
        self._make = size.maker()
        self._recent: deque[_Picture] = deque(maxlen=max(1, keep))
        ticks_per_frame = 1 / (self._fps * self._decoder.tick)
        rounding = min(Fraction(1, 2), _HALF_A_MILLISECOND / self._decoder.tick)
        # Over one denominator, so that a moment is one integer division.
        self._divisor = ticks_per_frame.denominator * rounding.denominator
        self._factor = ticks_per_frame.numerator * rounding.denominator
        self._offset = rounding.numerator * ticks_per_frame.denominator

    @property
    def seeks(self) -> int:
        """How often the decoder has seeked so far."""
        return self._decoder.seeks

    def read(self, indices: Iterable[int]) -> Iterator[NDArray[np.uint8]]:
        """Pictures `[crop, crop, 3]` (RGB, read-only) of frames of the resampled video, one for each index.

        Indices are >= 0, ascending for speed; an index that comes again, or that shows the same frame, is not
        converted again. A picture is yielded as soon as it is decoded, and stays valid; it is a view with
        padded rows, to be copied to where it is wanted.

        Raises VideoError, in place of the picture that cannot be had: TRUNCATED where the stream ends more
        than a second before it, DECODE_ERROR where FFmpeg fails. The reader can be used again afterwards.
        """
        for index in indices:
            yield self._picture(int(index))

    def _picture(self, index: int) -> NDArray[np.uint8]:
        moment = (index * self._factor + self._offset) // self._divisor
        if self._recent and moment < self._recent[-1].stop:
            for picture in reversed(self._recent):
                if picture.start <= moment < picture.stop:
                    return picture.pixels
        shown = self._decoder.at(moment)
        try:
            pixels = self._make(shown.frame)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            text = f"the frame at {float(index / self._fps):.2f} s cannot be converted: {error.strerror}"
            raise VideoError(FailureKind.DECODE_ERROR, text) from error
        self._recent.append(_Picture(shown.start, shown.stop, pixels))
        return pixels

    def close(self) -> None:
        """Close the video; pictures that were read stay valid."""
        self._decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
