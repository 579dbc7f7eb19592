"""Videos made on the spot, with a machine-readable number in each picture."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_CELLS = 4  # the number's bits lie on a grid of 4 x 4 cells in the central square


def draw(number: int, width: int, height: int) -> np.ndarray:
    """Picture `[height, width, 3]` of a number below 2**16: black and white cells on a gradient."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(40, 200, width)[None]
    picture[..., 1] = np.linspace(40, 200, height)[:, None]
    picture[..., 2] = 80 + 5 * number % 90
    side = min(width, height) // _CELLS
    left, top = (width - _CELLS * side) // 2, (height - _CELLS * side) // 2
    for bit in range(_CELLS**2):
        y, x = top + bit // _CELLS * side, left + bit % _CELLS * side
        picture[y : y + side, x : x + side] = 235 if number >> bit & 1 else 20
    return picture


def read_number(picture: np.ndarray) -> int:
    """The number in a picture `[s, s, 3]` that is the central square of one drawn, at whatever size."""
    side = picture.shape[0] / _CELLS
    number = 0
    for bit in range(_CELLS**2):
        y, x = (bit // _CELLS + 0.5) * side, (bit % _CELLS + 0.5) * side
        cell = picture[round(y - side / 4) : round(y + side / 4), round(x - side / 4) : round(x + side / 4)]
        number |= int(cell.mean() > 128) << bit
    return number


@dataclass(frozen=True)
class Recipe:
    """How to make a video.

    Attributes:
        name: file name; its ending chooses the container.
        rate: pictures a second, from 0 s on, unless `times` says otherwise.
        times: when each picture is shown, in seconds, as told to the container.
        cut: the first pictures that the container cuts off, because their time is negative.
        clock: time base of `times`.
        muxer: options for the container.
    """

    name: str
    codec: str = "libx264"
    rate: Fraction = Fraction(25)
    count: int = 100
    times: Sequence[Fraction] | None = None
    cut: int = 0
    clock: Fraction | None = None
    width: int = 96
    height: int = 64
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    rotation: int = 0
    audio_seconds: Fraction = Fraction(0)

    @property
    def schedule(self) -> list[Fraction]:
        """When each picture is shown, in seconds."""
        return list(self.times) if self.times is not None else [i / self.rate for i in range(self.count)]

    @property
    def duration(self) -> Fraction:
        """Seconds from the first picture that is shown to the end of the last, one `1 / rate` long."""
        return self.schedule[-1] + 1 / self.rate - self.schedule[self.cut]

    @property
    def tick(self) -> Fraction:
        """What the container rounds times to, in seconds."""
        match self.name.rpartition(".")[2]:
            case "mkv" | "webm" | "flv":
                return Fraction(1, 1000)
            case "ts":
                return Fraction(1, 90000)
            case "avi" | "ogv":
                return 1 / self.rate
            case _:
                return self.clock or 1 / (512 * self.rate)

    def on_screen(self, indices: Iterable[int], fps: Fraction) -> list[int]:
        """Numbers on screen `index / fps` seconds after the first picture, with `FrameReader`'s rounding."""
        ticks = [round(time / self.tick) for time in self.schedule[self.cut :]]
        rounding = min(self.tick / 2, Fraction(1, 2000))
        moments = (ticks[0] + math.floor((index / fps + rounding) / self.tick) for index in indices)
        return [self.cut + bisect_right(ticks, moment) - 1 for moment in moments]

    def make(self, folder: Path) -> Path:
        """Write the video; picture `i` carries the number `i`."""
        path = folder / self.name
        clock = self.clock or 1 / self.rate
        with av.open(str(path), "w", options=self.muxer) as output:
            stream = output.add_stream(self.codec, rate=self.rate, options=self.options)
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, self.pixels
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = stream.time_base = clock
            if self.rotation:
                stream.set_display_rotation(self.rotation)
            sound = output.add_stream("aac", rate=16000, layout="mono") if self.audio_seconds else None
            for number, second in enumerate(self.schedule):
                frame = av.VideoFrame.from_ndarray(draw(number, self.width, self.height), format="rgb24")
                frame.pts, frame.time_base = round(second / clock), clock
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
            if sound is not None:
                mux_silence(output, sound, self.audio_seconds)
        return path


def mux_silence(output: av.container.OutputContainer, stream: av.AudioStream, seconds: Fraction) -> None:
    """Fill a mono 16 kHz audio stream."""
    for index in range(round(seconds * 16000 / 1024)):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, index * 1024
        output.mux(stream.encode(frame))
    output.mux(stream.encode())


_X264 = {"bf": "3", "g": "12", "preset": "veryfast"}
_X265 = {"x265-params": "keyint=12:log-level=none"}
_AV1 = {"preset": "12", "svtav1-params": "keyint=12"}
_VPX = {"g": "20", "deadline": "realtime", "cpu-used": "8"}
_NO_EDIT_LIST = {"avoid_negative_ts": "disabled", "use_editlist": "0"}
_FRAME = Fraction(1, 25)
_TEN_ON = [10 + i * _FRAME for i in range(100)]
_FROM_BELOW_ZERO = [(i - 10) * _FRAME for i in range(100)]
_OVER_THE_END_OF_33_BITS = [Fraction(2**33, 90000) - 2 + i * _FRAME for i in range(100)]
_UNEVEN = [Fraction(40 * i + 13 * (i % 3) + (i // 20) * 400, 1000) for i in range(100)]

RECIPES = [
    Recipe("b_frames.mp4", options=_X264),
    Recipe("long_gop.mp4", rate=Fraction(30000, 1001), count=300, options=_X264 | {"g": "250"}),
    Recipe("with_audio.mp4", options=_X264, audio_seconds=Fraction(4)),
    Recipe("open_gop.mp4", options=_X264 | {"x264-params": "open-gop=1:scenecut=0"}),
    Recipe("intra_refresh.mp4", options={"x264-params": "intra-refresh=1:keyint=12:bframes=0"}),
    Recipe("hevc_open_gop.mp4", "libx265", count=60, options=_X265),
    Recipe("uneven.mp4", times=_UNEVEN, clock=Fraction(1, 90000), options=_X264),
    Recipe("uneven.mkv", times=_UNEVEN, clock=Fraction(1, 1000), options=_X264),
    Recipe("uneven.ts", times=_UNEVEN, clock=Fraction(1, 90000), options=_X264),
    Recipe("starts_at_10.mp4", times=_TEN_ON, options=_X264),
    Recipe("starts_at_10.mkv", times=_TEN_ON, options=_X264),
    Recipe("starts_at_10.ts", times=_TEN_ON, options=_X264),
    Recipe("wraps_round.ts", times=_OVER_THE_END_OF_33_BITS, options=_X264, muxer={"mpegts_copyts": "1"}),
    Recipe("edit_list.mp4", times=_FROM_BELOW_ZERO, cut=10, options=_X264),
    Recipe("edit_list.mov", times=_FROM_BELOW_ZERO, cut=10, options=_X264),
    Recipe("starts_below_0.mp4", times=_FROM_BELOW_ZERO, options=_X264, muxer=_NO_EDIT_LIST),
    Recipe("fragmented.mp4", options=_X264, muxer={"movflags": "frag_keyframe+empty_moov"}),
    Recipe("millisecond_clock.mkv", rate=Fraction(30), options=_X264),
    Recipe("vp8.webm", "libvpx", rate=Fraction(30), width=101, height=67, options=_VPX),
    Recipe("vp9.webm", "libvpx-vp9", rate=Fraction(30), options=_VPX),
    Recipe("vp8.ogv", "libvpx", rate=Fraction(30), options=_VPX),
    Recipe("av1.mp4", "libsvtav1", count=60, width=128, height=96, options=_AV1),
    Recipe("no_duration.webm", "libvpx", rate=Fraction(30), options=_VPX, muxer={"live": "1"}),
    Recipe("h264.ts", options=_X264),
    Recipe("mpeg2.ts", "mpeg2video", options={"bf": "2", "g": "12"}),
    Recipe("mpeg2.mpg", "mpeg2video", options={"bf": "2", "g": "12"}),
    Recipe("wmv2.wmv", "wmv2", options={"g": "12"}),
    Recipe("mpeg4.mov", "mpeg4", options={"bf": "2", "g": "12"}),
    Recipe("mpeg4.avi", "mpeg4", options={"bf": "2", "g": "12"}),
    Recipe("h264.avi", options=_X264),
    Recipe("mjpeg.avi", "mjpeg", pixels="yuvj420p"),
    Recipe("h264.flv", options=_X264),
    Recipe("ten_bit_422.mov", "prores_ks", count=40, pixels="yuv422p10le"),
    Recipe("ten_bit.mkv", "libx265", count=60, pixels="yuv420p10le", options=_X265),
    Recipe("ten_bit_444.mp4", pixels="yuv444p10le", width=97, height=65, options=_X264),
    Recipe("interlaced.mp4", options={"x264-params": "interlaced=1:tff=1", "flags": "+ildct+ilme"}),
]
