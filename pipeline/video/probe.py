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
from pipeline.video.decoder import HOLD_SECONDS
from pipeline.video.errors import VideoError
from pipeline.video.sandbox import Handler
from pipeline.video.source import open_source

_MAX_RATE = 1000  # from here on, a clock of milliseconds was taken for a frame rate
_MAX_SECONDS = 7 * 24 * 3600  # beyond it, a duration is damage rather than a video
_PEEKED_PACKETS = 64
_PROGRAM_STREAM = "mpeg"


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

    Duration: what the stream states; else Matroska's tag for the stream; else what the container states, if there
    is no other stream that it could be about; else the timestamps after a seek to the end, for which a file without
    an index is read through, not decoded. That last is always done for MPEG program streams, which state nothing.
    The container's counts after all where its file ends before it: a cut is the reader's to find. More than a week
    is not believed.

    Average rate: what the stream states or FFmpeg guesses, whichever first lies in (0, 1000); else the mean
    spacing of the first packets.

    Raises VideoError: UNREADABLE (missing, forbidden, not a media file, no picture size or no duration to be
    had), NO_VIDEO_STREAM (audio only; cover art does not count), DECODE_ERROR (no decoder for the codec), TRUNCATED
    (less than a byte for each second that it states).
    """
    container, stream, tick = open_video(source)
    with container:
        if stream.width <= 0 or stream.height <= 0:
            raise VideoError(FailureKind.UNREADABLE, "the header states no picture size")
        guessed = container.format.name == _PROGRAM_STREAM
        own, shared = (None, None) if guessed else _stated_durations(container, stream, tick)
        if own is None and len(container.streams) == 1:
            own = shared
        rate = _stated_rate(stream)
        width, height, codec = stream.width, stream.height, stream.codec.canonical_name
        size = container.size
        rotation = _rotation(read_packets(container, stream))
    duration = own or _measured_duration(source, shared, seek=not guessed)
    if 0 < size < duration:
        text = f"the header states {float(duration):.0f} s, but the file has {size} bytes"
        raise VideoError(FailureKind.TRUNCATED, text)
    if rate is None:
        rate = _measured_rate(source)
    return VideoInfo(float(duration), float(rate), width, height, rotation, codec)


def _stated_durations(
    container: InputContainer, stream: VideoStream, tick: Fraction
) -> tuple[Fraction | None, Fraction | None]:
    """The duration that the video stream states, and what the container states of whichever stream is the longest."""
    # The tag and the container state the time of the end, on the clock of the file.
    start = max(stream.start_time or 0, 0) * tick
    own = ((stream.duration or 0) * tick, _tagged_end(stream) - start)
    shared = Fraction(container.duration or 0, av.time_base) - start
    return next(filter(_credible, own), None), shared if _credible(shared) else None


def _credible(duration: Fraction) -> bool:
    return 0 < duration <= _MAX_SECONDS


def _tagged_end(stream: VideoStream) -> Fraction:
    """Seconds of Matroska's DURATION tag, `hours:minutes:seconds`; 0 where there is none."""
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    except (KeyError, ValueError):
        return Fraction(0)


def _measured_duration(source: Source, stated: Fraction | None, seek: bool) -> Fraction:
    """Seconds of video by the packets, or `stated` where the file ends before that.

    Raises VideoError (UNREADABLE) where there is neither.
    """
    duration, file_duration = _last_ends(source, seek)
    if seek and not _credible(duration):  # the seek led past the last picture
        duration, file_duration = _last_ends(source, seek=False)
    cut = stated is not None and file_duration < stated - HOLD_SECONDS
    if _credible(duration) and not cut:
        return duration
    if stated is None:
        raise VideoError(FailureKind.UNREADABLE, "neither the header nor the packets tell a duration")
    return stated


def _last_ends(source: Source, seek: bool) -> tuple[Fraction, Fraction]:
    """Seconds from the start of the video to the end of its last packet, and to that of the last of any stream."""
    container, stream, tick = open_video(source, others=True)
    with container:
        start = stream.start_time or 0
        end, last = start, Fraction(start * tick)
        try:
            if seek and stream.start_time is not None:
                container.seek(int(_MAX_SECONDS / tick), stream=stream)  # past any end: to the last key frame
            for packet in container.demux():
                length = packet.duration or 0
                if packet.stream is stream:
                    end = end + length if packet.pts is None else max(end, packet.pts + length)
                elif packet.pts is not None:
                    last = max(last, (packet.pts + length) * Fraction(packet.time_base))
        except (av.FFmpegError, IndexError):
            pass  # what was read counts
        video = (end - start) * tick
        return video, max(video, last - start * tick)


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
