"""The decoding stage: plan rows in, the same rows with their frames out."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.failures import FailureKind, join_error
from pipeline.features.cells import chunk_row, large_binary_row
from pipeline.features.extraction.sampling import sample_chunk
from pipeline.features.extraction.signed import SignedUris
from pipeline.features.schema import CHUNK_SCHEMA
from pipeline.features.timeline import Timeline
from pipeline.video.errors import VideoError
from pipeline.video.patience import ask_patiently
from pipeline.video.picture import FrameSize
from pipeline.video.reader import FrameReader
from pipeline.video.sandbox import DEFAULT_LIMITS, Handler, Limits, Sandbox, sandbox
from pipeline.video.source import open_source

# `frames` is uint8 [num_frames, height, width, 3] in C order, null where `error` is set.
FRAMES_SCHEMA = pa.schema(
    [*CHUNK_SCHEMA, pa.field("frames", pa.large_binary()), pa.field("error", pa.string())]
)

# After these, the later chunks of a video cannot fare better, or are not worth the time: the video is lost anyway.
_GIVE_UP = frozenset(
    {FailureKind.TRUNCATED, FailureKind.TIMEOUT, FailureKind.OUT_OF_MEMORY, FailureKind.CRASH}
)


class ChunkReader:
    """Reads the pictures of one chunk after the other, each video with one open container. Lives in the sandbox."""

    def __init__(
        self, timeline: Timeline, offsets: tuple[int, ...], size: FrameSize, successors: bool
    ) -> None:
        self._timeline, self._offsets, self._size, self._successors = timeline, offsets, size, successors
        self._uri: str | None = None
        self._open = ExitStack()

    def __call__(self, chunk: dict[str, Any] | None, out: memoryview) -> None:
        """Fill `out` with the pictures of a plan row; None closes the video.

        Raises VideoError, and OSError where the storage fails.
        """
        if chunk is None or chunk["uri"] != self._uri:
            self._close()
        if chunk is None:
            return
        timeline = self._timeline.resolve(chunk["fps"])
        if self._uri is None:
            shared = max(0, timeline.window + self._successors - timeline.stride)
            with ExitStack() as opening:
                source = opening.enter_context(open_source(chunk["uri"]))
                reader = FrameReader(source, fps=timeline.rate, size=self._size, keep=shared)
                self._reader = opening.enter_context(reader)
                self._open = opening.pop_all()
            self._uri = chunk["uri"]
        indices = sample_chunk(self._timeline, self._offsets, chunk, self._successors).indices
        frames = np.frombuffer(out, np.uint8).reshape(len(indices), self._size.crop, self._size.crop, 3)
        try:
            for position, frame in enumerate(self._reader.read(indices)):
                frames[position] = frame
        except OSError:
            self._close()  # a demuxer may take a read that failed for the end of the file, ever after
            raise

    def _close(self) -> None:
        self._uri = None
        self._open.close()


@dataclass(frozen=True)
class ChunkDecoder:
    """Decodes a batch of consecutive plan rows, in a sandbox that survives from one batch to the next.

    Attributes:
        timeline: the store's time rule (`fps` may be None: each row brings its own).
        offsets: frames of a window that the backbone looks at.
        size: what becomes of a frame while it is decoded.
        successors: whether the frame after each of those is wanted too, for optical flow.
        limits: what a chunk may cost.
        signed: the URLs of this command where plan rows hold them without what signs them.
        keep_truncated: a video that ends before its header says becomes a shorter one: its rows have the true
            `duration`, and `num_snippets` as for a video that long. Otherwise the chunk at its end is lost.
        reader: what reads in the sandbox.
    """

    timeline: Timeline
    offsets: tuple[int, ...]
    size: FrameSize
    successors: bool = False
    limits: Limits = DEFAULT_LIMITS
    keep_truncated: bool = False
    signed: SignedUris | None = None
    reader: Callable[[Timeline, tuple[int, ...], FrameSize, bool], Handler] = ChunkReader

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """One table of `FRAMES_SCHEMA` with one row for each plan row, in order; what cannot be decoded has `error`.

        Raises OutageError where storage stays away.
        """
        work = (self.timeline, self.offsets, self.size, self.successors)
        process = sandbox(self.reader, work, self.limits)
        rows = batch.select(CHUNK_SCHEMA.names).to_pylist()
        try:
            for _, chunks in groupby(rows, key=lambda row: row["video_id"]):
                yield from self._decode_video(process, chunks)
        finally:
            if process.running:
                with suppress(VideoError, OSError):  # a child that cannot even close a video is gone already
                    process.call(None)

    def _decode_video(self, process: Sandbox, chunks: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
        given_up: VideoError | None = None
        for chunk in chunks:
            try:
                if given_up is not None:
                    raise given_up
                row = _frames_row(chunk, self._read(process, chunk), None)
            except VideoError as error:
                if error.kind in _GIVE_UP:
                    given_up = error
                row = self._ending(process, chunk, error)
            yield row

    def _read(self, process: Sandbox, chunk: dict[str, Any]) -> memoryview:
        """The pictures of a chunk; a crash is given a second chance."""
        sampled = sample_chunk(self.timeline, self.offsets, chunk, self.successors)
        size = len(sampled.indices) * self.size.crop * self.size.crop * 3
        uri = self.signed.uri_of(chunk["video_id"], chunk["uri"]) if self.signed else chunk["uri"]
        return ask_patiently(process, uri, chunk | {"uri": uri}, size)[1]

    def _ending(self, process: Sandbox, chunk: dict[str, Any], error: VideoError) -> pa.Table:
        """The row of a chunk that cannot be decoded to its end."""
        if not self.keep_truncated or error.kind is not FailureKind.TRUNCATED or not error.end:
            return _frames_row(chunk, None, error)
        timeline = self.timeline.resolve(chunk["fps"])
        snippets = timeline.num_snippets(timeline.num_frames(error.end)) - chunk["first_snippet"]
        short = chunk | {"duration": error.end}
        if snippets <= 0:
            return _frames_row(short, None, error)
        short["num_snippets"] = min(snippets, chunk["num_snippets"])
        try:
            return _frames_row(short, self._read(process, short), None)
        except VideoError as failure:
            return _frames_row(chunk, None, failure)


def _frames_row(chunk: dict[str, Any], frames: memoryview | None, error: VideoError | None) -> pa.Table:
    pictures = large_binary_row(None if frames is None else np.frombuffer(frames, np.uint8))
    message = None if error is None else join_error(error.kind, str(error))
    return chunk_row(FRAMES_SCHEMA, chunk, frames=pictures, error=message)
