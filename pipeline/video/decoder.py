"""Which decoded frame is on screen at a given moment: exact, wherever reading starts."""

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple, TypeAlias

import av

from pipeline.failures import FailureKind
from pipeline.video.container import Source, open_video, read_packets
from pipeline.video.errors import VideoError

HOLD_SECONDS = 1  # headers round durations up: so long may the last frame stay on screen after its end
_SEEK_SECONDS = 1  # to decode that much costs about as much as a seek
_BLIND_SEEK_SECONDS = 10  # the same where no index tells whether a key frame lies ahead
_DAMAGED = 2**60  # no real timestamp comes near the end of 64 bits


class OnScreen(NamedTuple):
    """A decoded frame and the moments `[start, stop)` at which it is on screen."""

    frame: av.VideoFrame
    start: float
    stop: float


class _Stamped(NamedTuple):
    stamp: int  # presentation time in ticks, on the clock of the file
    frame: av.VideoFrame


_Position: TypeAlias = tuple[_Stamped, _Stamped | None]  # the frame on screen, the one after it


class ScreenDecoder:
    """An open video that answers which frame is on screen at a moment.

    Moments are ticks of the stream's clock after the start of the video stream. The answer is that of a
    decoder that runs from the first packet to the last; seeking only makes it cheaper:

    - After a seek, packets before the first key frame are skipped, and frames that precede it on screen are
      dropped: in an open GOP they refer to pictures that were not decoded.
    - A frame is the answer only when the one after it is known to come later. Where the first frame after a
      seek comes later than the moment, the seek goes further back, doubling the distance, and at last the
      file is opened anew and read from its start.
    - Streams without true key frames (intra refresh) are read from the start. So are those whose key frames
      carry no presentation time (H.264 or B-frames in AVI, raw streams): their frames are timed in the order
      in which the decoder gives them, the first one at 0.

    The first frame is on screen before its time too, the last one for `HOLD_SECONDS` after its end. A frame
    whose time is earlier than that of a frame before it is never on screen.

    Attributes:
        tick: seconds in a tick.
        seeks: how often it has seeked so far.
    """

    def __init__(self, source: Source) -> None:
        self.seeks = 0
        self._source = source
        self._open()
        self._origin: int = self._stream.start_time or 0
        self._first_stamp: float = -math.inf  # unknown until the stream is read from its start
        self._seekable: bool = self._stream.start_time is not None and abs(self._origin) < _DAMAGED

    def _open(self) -> None:
        self._container, self._stream, self.tick = open_video(self._source)
        self._second = round(1 / self.tick)
        self._untouched = True
        self._frames: Iterator[_Stamped] = iter(())
        self._position: _Position | None = None

    def close(self) -> None:
        """Close the container; a file object that was given stays open."""
        self._frames, self._position = iter(()), None
        self._container.close()

    def at(self, moment: int) -> OnScreen:
        """The frame on screen `moment` ticks after the start of the stream, `moment` >= 0.

        Raises VideoError: TRUNCATED where the stream ends, or nothing of it can be decoded any more, more than
        `HOLD_SECONDS` before the moment, DECODE_ERROR where FFmpeg fails on the way to it. The next call starts
        afresh.
        """
        position, self._position = self._position, None  # an error leaves no position behind
        try:
            if position is None or not self._leads_on(*position, moment):
                position = self._find(moment)
            shown, following = position
            while following is not None and following.stamp <= self._origin + moment:
                shown, following = following, next(self._frames, None)
        except MemoryError:
            raise
        except av.FFmpegError as error:
            text = f"decoding fails on the way to {self._seconds(moment):.2f} s: {error.strerror}"
            raise VideoError(FailureKind.DECODE_ERROR, text) from error
        self._position = shown, following

        start = shown.stamp - self._origin if shown.stamp > self._first_stamp else -math.inf
        if following is not None:
            return OnScreen(shown.frame, start, following.stamp - self._origin)
        end = shown.stamp + self._duration(shown.frame) - self._origin
        stop = end + HOLD_SECONDS * self._second
        if moment >= stop:
            text = f"the video ends at {self._seconds(end):.2f} s, before {self._seconds(moment):.2f} s"
            raise VideoError(FailureKind.TRUNCATED, text, self._seconds(end))
        return OnScreen(shown.frame, start, stop)

    def _leads_on(self, shown: _Stamped, following: _Stamped | None, moment: int) -> bool:
        """Whether decoding on from the frame on screen is the way to the moment."""
        if shown.stamp > max(self._origin + moment, self._first_stamp):
            return False
        return following is None or not self._worth_a_seek(shown.stamp, moment)

    def _worth_a_seek(self, here: int, moment: int) -> bool:
        """Whether a seek to the moment should save decoding, as against going on from the stamp `here`."""
        wanted = self._origin + moment
        if not self._seekable or wanted - here < _SEEK_SECONDS * self._second:
            return False
        index = self._stream.index_entries
        entry = index.search_timestamp(wanted, backward=True)
        if 0 <= entry < len(index) - 1:  # beyond its last entry an index may just not have been read yet
            return index[entry].timestamp - here >= _SEEK_SECONDS * self._second
        return wanted - here >= _BLIND_SEEK_SECONDS * self._second

    def _find(self, moment: int) -> _Position:
        """A frame not later than the moment and the one after it; failing that, the first two frames."""
        if not self._untouched or self._worth_a_seek(self._origin, moment):
            back = 0
            while self._seekable and back < moment:
                landed = self._seek(moment - back)
                if landed is not None and landed.stamp <= self._origin + moment:
                    return landed, next(self._frames, None)
                back = 2 * back or self._second
        return self._start_over()

    def _start_over(self) -> _Position:
        """The first two frames, of the file opened anew."""
        if not self._untouched:
            self._container.close()
            self._open()
        self._untouched = False
        self._frames = self._decode(read_packets(self._container, self._stream))
        first = next(self._frames, None)
        if first is None:
            raise VideoError(FailureKind.TRUNCATED, "the file ends before its first picture")
        self._first_stamp = first.stamp
        if self._stream.start_time is None or first.frame.pts is None:
            self._origin, self._seekable = first.stamp, False
        return first, next(self._frames, None)

    def _seek(self, moment: int) -> _Stamped | None:
        """The first sound frame after a seek to the moment, or None where the seek leads nowhere."""
        self.seeks += 1
        self._untouched = False
        try:
            self._container.seek(self._origin + moment, stream=self._stream)
        except av.FFmpegError:
            self._seekable = False
            return None
        packets = read_packets(self._container, self._stream)
        try:
            key = next((packet for packet in packets if packet.is_keyframe), None)
            if key is None:
                return None
            if key.pts is None:
                self._seekable = False
                return None
            self._frames = (f for f in self._decode(chain([key], packets)) if f.stamp >= key.pts)
            landed = next(self._frames, None)
        except av.FFmpegError:
            return None
        if landed is not None and not (landed.frame.key_frame or key.is_discard):
            self._seekable = False
            return None
        return landed

    def _decode(self, packets: Iterable[av.Packet]) -> Iterator[_Stamped]:
        """The frames of the packets, in the order in which they are on screen.

        Raises av.FFmpegError for a packet that cannot be decoded once there is a frame after it, or where there is
        none at all: damage that lasts to the end of the stream ends the stream.
        """
        latest: int | None = None
        damage: av.FFmpegError | None = None
        for packet in packets:
            try:
                frames = packet.decode()
            except MemoryError:
                raise
            except av.FFmpegError as error:
                damage = damage or error
                continue
            for frame in frames:
                if damage is not None:
                    raise damage
                stamp = frame.pts
                if stamp is None:
                    stamp = frame.dts  # of the packet that pushed it out, so in the order of the screen
                    if latest is not None and (stamp is None or stamp <= latest):
                        stamp = latest + self._duration(frame)
                stamp = stamp or 0
                if latest is None or stamp >= latest:
                    latest = stamp
                    yield _Stamped(stamp, frame)
        if damage is not None and latest is None:
            raise damage

    def _duration(self, frame: av.VideoFrame) -> int:
        """Ticks that a frame lasts by the file, or by its average rate."""
        if frame.duration > 0:
            return frame.duration
        rate = self._stream.average_rate or self._stream.guessed_rate or 25
        return max(1, round(1 / (rate * self.tick)))

    def _seconds(self, ticks: float) -> float:
        return float(ticks * self.tick)
