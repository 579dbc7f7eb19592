"""Opening a video: a path or a file object becomes a demuxer set up to read one video stream."""

import os
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


def open_video(source: Source) -> tuple[InputContainer, VideoStream, Fraction]:
    """The container, which is the caller's to close; the stream to read; seconds in a tick of its clock.

    The stream is the first video marked as default, or else the first; cover art does not count. The demuxer
    discards all others. Decoding uses one FFmpeg thread.
    A file that refers to others, such as a playlist, cannot make the process reach for the network.

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
    except av.FFmpegError as error:
        raise VideoError(FailureKind.UNREADABLE, f"cannot be opened: {error.strerror}") from error
    try:
        stream = _main_stream(container)
    except VideoError:
        container.close()
        raise
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    # No guesses for timestamps that the file lacks, and no picture from the half packet that ends a cut file.
    container.flags = container.flags & ~Flags.gen_pts.value | Flags.discard_corrupt.value
    stream.codec_context.thread_count = 1
    stream.codec_context.thread_type = "NONE"
    return container, stream, Fraction(stream.time_base or 1)


def _main_stream(container: InputContainer) -> VideoStream:
    streams = [stream for stream in container.streams.video if not stream.disposition & _NOT_MOVING]
    if not streams:
        raise VideoError(FailureKind.NO_VIDEO_STREAM, "the file has no video stream")
    stream = next((s for s in streams if s.disposition & Disposition.default), streams[0])
    if stream.codec_context is None:
        raise VideoError(FailureKind.DECODE_ERROR, "FFmpeg has no decoder for the video stream")
    return stream
