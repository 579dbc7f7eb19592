"""The decoding stage: plan rows in, the same rows with their frames out."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.failures import FailureKind
from pipeline.features.pictures import open_reader
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.store import join_error
from pipeline.features.timeline import Timeline
from pipeline.video.errors import VideoError
from pipeline.video.picture import FrameSize
from pipeline.video.reader import FrameReader
from pipeline.video.source import open_source

# `frames` is uint8 [num_frames, height, width, 3] in C order, null where `error` is set.
FRAMES_SCHEMA = pa.schema(
    [*PLAN_SCHEMA, pa.field("frames", pa.large_binary()), pa.field("error", pa.string())]
)


@dataclass(frozen=True)
class SampledFrames:
    """Which frames of a video a run of snippets needs.

    Attributes:
        indices: `[F]` sorted distinct indices of frames of the resampled video.
        members: `[num_snippets, frames_per_snippet]` positions in `indices`.
        last: index of the video's last frame.
    """

    indices: np.ndarray
    members: np.ndarray
    last: int


def sample_frames(
    timeline: Timeline,
    offsets: tuple[int, ...],
    first_snippet: int,
    num_snippets: int,
    duration: float,
    successors: bool = False,
) -> SampledFrames:
    """The frames at `offsets` within each window of `num_snippets` snippets from `first_snippet` on.

    Frames that several windows share appear once. Windows that reach past the end of a video (only one shorter than
    a window has such) repeat its last frame.

    With `successors`, the frame after each of them is there too, for flow from one to the other: 17 frames for the 16
    flow fields of a window. After the last frame of the video comes itself.
    """
    starts = (first_snippet + np.arange(num_snippets)) * timeline.stride
    wanted = starts[:, None] + np.asarray(offsets)
    last = timeline.num_frames(duration) - 1
    indices, members = np.unique(np.minimum(wanted, last), return_inverse=True)
    if successors:
        looked_at, indices = indices, np.union1d(indices, np.minimum(indices + 1, last))
        members = np.searchsorted(indices, looked_at)[members]
    return SampledFrames(indices, members.reshape(wanted.shape), last)


@dataclass(frozen=True)
class ChunkDecoder:
    """Decodes a batch of consecutive plan rows, walking each video with one open container.

    Attributes:
        timeline: the store's time rule (`fps` may be None: each row brings its own).
        offsets: frames of a window that the backbone looks at.
        size: what becomes of a frame while it is decoded.
        successors: whether the frame after each of those is wanted too, for optical flow.
    """

    timeline: Timeline
    offsets: tuple[int, ...]
    size: FrameSize
    successors: bool = False

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """One table of `FRAMES_SCHEMA` with one row for each plan row, in order; what cannot be decoded has `error`."""
        for _, chunks in groupby(
            batch.select(PLAN_SCHEMA.names).to_pylist(), key=lambda row: row["video_id"]
        ):
            yield from self._decode_video(list(chunks))

    def _decode_video(self, chunks: list[dict[str, Any]]) -> Iterator[pa.Table]:
        timeline = self.timeline.resolve(chunks[0]["fps"])
        with ExitStack() as stack:
            try:
                source = stack.enter_context(open_source(chunks[0]["uri"]))
                shared = max(0, timeline.window + self.successors - timeline.stride)
                reader = stack.enter_context(open_reader(source, timeline.rate, self.size, shared))
            except (VideoError, OSError) as error:
                for chunk in chunks:
                    yield _frames_row(chunk, None, error)
                return
            for chunk in chunks:
                sampled = sample_frames(
                    timeline,
                    self.offsets,
                    chunk["first_snippet"],
                    chunk["num_snippets"],
                    chunk["duration"],
                    self.successors,
                )
                try:
                    yield _frames_row(chunk, self._read(reader, sampled.indices), None)
                except (VideoError, OSError) as error:
                    yield _frames_row(chunk, None, error)

    def _read(self, reader: FrameReader, indices: np.ndarray) -> np.ndarray:
        frames = np.empty((len(indices), self.size.crop, self.size.crop, 3), dtype=np.uint8)
        for position, frame in enumerate(reader.read(indices)):
            frames[position] = frame
        return frames


def _frames_row(
    chunk: dict[str, Any], frames: np.ndarray | None, error: VideoError | OSError | None
) -> pa.Table:
    columns = [pa.array([chunk[field.name]], type=field.type) for field in PLAN_SCHEMA]
    message = None
    if error is not None:
        # An OSError is the storage's: it has tried again by itself before it gave up.
        kind = error.kind if isinstance(error, VideoError) else FailureKind.UNREADABLE
        message = join_error(kind, str(error))
    return pa.Table.from_arrays(
        [*columns, large_binary_row(frames), pa.array([message], type=pa.string())], schema=FRAMES_SCHEMA
    )


def large_binary_row(values: np.ndarray | None) -> pa.Array:
    """An array of one large_binary over the bytes of `values`, without copying them; null for None."""
    if values is None:
        return pa.array([None], type=pa.large_binary())
    offsets = np.array([0, values.nbytes], dtype=np.int64)
    return pa.Array.from_buffers(
        pa.large_binary(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values))]
    )


def read_array(cell: pa.LargeBinaryScalar, side: int, channels: int, dtype: str = "uint8") -> np.ndarray:
    """The pictures or flow fields `[F, side, side, channels]` in a cell of large_binary, without copying them."""
    return np.frombuffer(cell.as_buffer(), dtype=dtype).reshape(-1, side, side, channels)
