"""What a video's header says, without reading the video."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.failures import FailureKind
from pipeline.video.container import Source, open_video, read_packets
from pipeline.video.errors import VideoError
from pipeline.video.sandbox import Handler
from pipeline.video.source import open_source

_MAX_RATE = 1000  # from here on, a clock of milliseconds was taken for a frame rate
_MAX_SECONDS = 7 * 24 * 3600  # beyond it, a duration is damage rather than a video
_PEEKED_PACKETS = 64


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before it is decoded.

    Attributes:
        duration: seconds from the start of the video stream to the end of its last frame, > 0.
        average_rate: frames a second, in (0, 1000).
        width, height: pixels as stored, before rotation.
        rotation: degrees by which players turn the picture counter-clockwise: 0, 90, 180 or 270.
        codec: FFmpeg's name for it, such as "h264".
    """

    duration: float
    average_rate: float
    width: int
    height: int
    rotation: int
    codec: str


def prober() -> Handler:
    """For a sandbox: answers the URL of a video with its VideoInfo, raising as `probe` does."""

    def answer(uri: str, _: memoryview) -> VideoInfo:
        with open_source(uri) as source:
            return probe(source)

    return answer


def probe(source: Source) -> VideoInfo:
    """Look at the header of a video, and at its first picture, which alone tells the rotation.

    Duration: what the stream states; else Matroska's tag for the stream; else what the container states; else
    the timestamps after a seek to the end, for which a file without an index is read through, not decoded.
    More than a week is not believed.

    Average rate: what the stream states or FFmpeg guesses, whichever first lies in (0, 1000); else the mean
    spacing of the first packets.

    Raises VideoError: UNREADABLE (missing, forbidden, not a media file, no picture size or no duration to be
    had), NO_VIDEO_STREAM (audio only; cover art does not count), DECODE_ERROR (no decoder for the codec).
    """
    container, stream, tick = open_video(source)
    with container:
        if stream.width <= 0 or stream.height <= 0:
            raise VideoError(FailureKind.UNREADABLE, "the header states no picture size")
        duration = _stated_duration(container, stream, tick)
        rate = _stated_rate(stream)
        width, height, codec = stream.width, stream.height, stream.codec.canonical_name
        rotation = _rotation(read_packets(container, stream))
    if duration is None:
        duration = _measured_duration(source)
    if rate is None:
        rate = _measured_rate(source)
    return VideoInfo(float(duration), float(rate), width, height, rotation, codec)


def _stated_duration(container: InputContainer, stream: VideoStream, tick: Fraction) -> Fraction | None:
    # The tag and the container state the time of the end, on the clock of the file.
    start = max(stream.start_time or 0, 0) * tick
    ends = (_tagged_end(stream), Fraction(container.duration or 0, av.time_base))
    durations = ((stream.duration or 0) * tick, *(end - start for end in ends))
    return next((duration for duration in durations if 0 < duration <= _MAX_SECONDS), None)


def _tagged_end(stream: VideoStream) -> Fraction:
    """Seconds of Matroska's DURATION tag, `hours:minutes:seconds`; 0 where there is none."""
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except (KeyError, ValueError):
        return Fraction(0)


def _measured_duration(source: Source) -> Fraction:
    container, stream, tick = open_video(source)
    with container:
        start = stream.start_time or 0
        end = start
        try:
            if stream.start_time is not None:
                container.seek(int(_MAX_SECONDS / tick), stream=stream)  # past any end: to the last key frame
            for packet in read_packets(container, stream):
                length = packet.duration or 0
                end = end + length if packet.pts is None else max(end, packet.pts + length)
        except av.FFmpegError:
            pass  # what was read counts
        duration = (end - start) * tick
        if not 0 < duration <= _MAX_SECONDS:
            raise VideoError(FailureKind.UNREADABLE, "neither the header nor the packets tell a duration")
        return duration


def _stated_rate(stream: VideoStream) -> Fraction | None:
    stated = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return next((rate for rate in stated if rate is not None and 0 < rate < _MAX_RATE), None)


def _measured_rate(source: Source) -> Fraction:
    container, stream, tick = open_video(source)
    with container:
        packets = islice(read_packets(container, stream), _PEEKED_PACKETS)
        stamps = sorted({packet.pts for packet in packets if packet.pts is not None})
        if len(stamps) < 2:
            raise VideoError(FailureKind.UNREADABLE, "neither the header nor the packets tell a frame rate")
        return (len(stamps) - 1) / ((stamps[-1] - stamps[0]) * tick)


def _rotation(packets: Iterable[av.Packet]) -> int:
    try:
        frame = next((frame for p in islice(packets, _PEEKED_PACKETS) for frame in p.decode()), None)
    except av.FFmpegError:
        return 0  # the reader will say what is wrong
    return 0 if frame is None else round(frame.rotation / 90) % 4 * 90
