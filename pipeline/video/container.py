"""Opening a video: a path or a file object becomes a demuxer set up to read one video stream."""

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, TypeAlias

import av
from av.container import Flags, InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from pipeline.failures import FailureKind
from pipeline.video.errors import VideoError

Source: TypeAlias = str | os.PathLike[str] | BinaryIO
"""A local path, or a seekable binary file object, which stays the caller's to close."""

_NOT_MOVING = Disposition.attached_pic | Disposition.timed_thumbnails


def open_video(source: Source, *, others: bool = False) -> tuple[InputContainer, VideoStream, Fraction]:
    """The container, which is the caller's to close; the stream to read; seconds in a tick of its clock.

    The stream is the first video marked as default, or else the first; cover art does not count. The demuxer
    discards all streams but that one, unless `others` are wanted. Decoding uses one FFmpeg thread. A file that refers
    to others, such as a playlist, cannot make the process reach for the network.

    Raises VideoError (UNREADABLE, NO_VIDEO_STREAM; DECODE_ERROR where FFmpeg knows no decoder). Errors of a
    file object itself, of the network say, pass unchanged.
    """
    if isinstance(source, str | os.PathLike):
        file: str | BinaryIO = f"file:{os.fspath(source)}"  # so that a colon in a name is not a protocol
    else:
        file = source
        file.seek(0)
    try:
        container = av.open(
            file, "r", metadata_errors="replace", container_options={"protocol_whitelist": "file"}
        )
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise VideoError(FailureKind.UNREADABLE, f"cannot be opened: {error.strerror}") from error
    try:
        stream = _main_stream(container)
    except VideoError:
        container.close()
        raise
    for other in container.streams:
        if other is not stream and not others:
            other.discard = Discard.all
    # It guesses missing timestamps, wrongly where frames are reordered.
    container.flags &= ~Flags.gen_pts.value
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    return container, stream, Fraction(stream.time_base or 1)


def read_packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """The packets of a stream from here on; not the half one that ends a file which was cut off.

    Raises av.FFmpegError, and whatever a file object raises.
    """
    packets = container.demux(stream)
    doubtful: av.Packet | None = None
    while True:
        try:
            packet = next(packets, None)
        except IndexError:  # how PyAV ends a file in which further streams turned up on the way
            return
        if packet is None:
            return
        # The packet that ends all, for flushing the decoder, is empty.
        if doubtful is not None and packet.size:
            yield doubtful
        doubtful = packet if packet.is_corrupt else None
        if doubtful is None:
            yield packet


def _main_stream(container: InputContainer) -> VideoStream:
    streams = [stream for stream in container.streams.video if not stream.disposition & _NOT_MOVING]
    if not streams:
        raise VideoError(FailureKind.NO_VIDEO_STREAM, "the file has no video stream")
    stream = next((s for s in streams if s.disposition & Disposition.default), streams[0])
    if stream.codec_context is None:
        raise VideoError(FailureKind.DECODE_ERROR, "FFmpeg has no decoder for the video stream")
    return stream
