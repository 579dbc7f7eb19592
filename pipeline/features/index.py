"""The index of a store: all its videos in columns, and each of them as an object on demand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.failures import Failure, FailureKind, split_error
from pipeline.features.timeline import Timeline
from pipeline.features.video_features import StoredChunk, VideoFeatures

# A row a video, sorted by id. `num_snippets` are those of the whole video, `stored_snippets` those of them that have
# features; `stated_duration` is null but where the video was kept although it ends before that.
VIDEOS_SCHEMA = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("duration", pa.float64(), nullable=False),
        pa.field("stated_duration", pa.float64()),
        pa.field("fps", pa.float64(), nullable=False),
        pa.field("num_snippets", pa.int64(), nullable=False),
        pa.field("stored_snippets", pa.int64(), nullable=False),
        pa.field("empty_chunks", pa.int32(), nullable=False),
    ]
)
# A row a chunk with features, in the order of videos and snippets; `file` is a position in the index's `files`.
CHUNKS_SCHEMA = pa.schema(
    [
        pa.field("first_snippet", pa.int64(), nullable=False),
        pa.field("num_snippets", pa.int64(), nullable=False),
        pa.field("file", pa.int32(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
    ]
)
# A row a chunk with an error, in the same order.
LOST_SCHEMA = pa.schema(
    [
        pa.field("chunk_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("chunk_index", pa.int32(), nullable=False),
        pa.field("num_chunks", pa.int32(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
    ]
)
_IDS_AT_ONCE = 1 << 14
# A look-up walks some twenty ids; a join first puts all of them into a hash table.
_WORTH_A_JOIN = 1 / 200


class StoreIndex(Mapping[str, VideoFeatures]):
    """Every planned or stored video by id, in the order of ids.

    Questions about all of them are asked of `videos` and the arrays beside it; a `VideoFeatures` is made when it is
    asked for.

    Attributes:
        videos: `[V]` rows of `VIDEOS_SCHEMA`.
        files: URLs of feature files.
        chunks: `[C]` rows of `CHUNKS_SCHEMA`, those of the video in row `v` from `chunk_starts[v]` to
            `chunk_starts[v + 1]`.
        duration, fps: `[V]` float64, seconds, and frames per second of the timeline.
        num_snippets: `[V]` int64, of whole videos.
        complete: `[V]` bool, whether every snippet is stored.
        lost_chunks: `[V]` int64, chunks that hold an error.
        recorded_chunks: `[V]` int64, chunks that have a row, whatever it holds.
    """

    def __init__(
        self,
        timeline: Timeline,
        files: Sequence[str],
        videos: pa.Table,
        chunks: pa.Table,
        chunk_starts: np.ndarray,
        lost: pa.Table,
        lost_starts: np.ndarray,
    ) -> None:
        """Of tables by the schemas above; the chunks of video `v` are rows `chunk_starts[v]` to `chunk_starts[v + 1]`
        of `chunks`, and likewise `lost`."""
        self.timeline, self.files, self.videos = timeline, tuple(files), videos.combine_chunks()
        self._ids, self._uris, self._stated = (
            _whole(self.videos[name]) for name in ("video_id", "uri", "stated_duration")
        )
        self._empty = self.videos["empty_chunks"].to_numpy()
        self.chunks, self.chunk_starts = chunks.combine_chunks(), chunk_starts
        self._lost, self._lost_starts = lost.combine_chunks(), lost_starts
        columns = {name: self.chunks[name].to_numpy() for name in CHUNKS_SCHEMA.names}
        self._places = tuple(columns.values())
        self.duration = self.videos["duration"].to_numpy()
        self.fps = self.videos["fps"].to_numpy()
        self.num_snippets = self.videos["num_snippets"].to_numpy()
        self.complete = self.videos["stored_snippets"].to_numpy() == self.num_snippets
        self.lost_chunks = np.diff(lost_starts)
        self.recorded_chunks = np.diff(chunk_starts) + self.lost_chunks + self._empty

    def __reduce__(self) -> tuple[type["StoreIndex"], tuple[object, ...]]:
        held = (self.videos, self.chunks, self.chunk_starts, self._lost, self._lost_starts)
        return StoreIndex, (self.timeline, self.files, *held)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _IDS_AT_ONCE):
            yield from self._ids.slice(start, _IDS_AT_ONCE).to_pylist()

    def __contains__(self, video_id: object) -> bool:
        return isinstance(video_id, str) and self._row(video_id) is not None

    def __getitem__(self, video_id: str) -> VideoFeatures:
        row = self._row(video_id)
        if row is None:
            raise KeyError(video_id)
        return self.at(row)

    def find(self, video_ids: Sequence[str] | pa.Array | pa.ChunkedArray) -> np.ndarray:
        """The rows of these videos, `[N]` int64, -1 where there is none."""
        if not isinstance(video_ids, pa.Array | pa.ChunkedArray):
            video_ids = pa.array(video_ids, pa.string())
        if len(video_ids) < _WORTH_A_JOIN * len(self):
            rows = (self._row(video_id) for video_id in video_ids.to_pylist())
            return np.array([-1 if row is None else row for row in rows], dtype=np.int64)
        found = pc.fill_null(pc.index_in(video_ids, value_set=self._ids), -1)
        return found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy()

    def has_all(self, video_ids: Sequence[str] | pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Which of these videos are there and complete, `[N]` bool."""
        rows = self.find(video_ids)
        found = rows >= 0
        found[found] = self.complete[rows[found]]
        return found

    def at(self, row: int) -> VideoFeatures:
        """The video in a row of `videos`."""
        places = slice(int(self.chunk_starts[row]), int(self.chunk_starts[row + 1]))
        chunks = zip(*(column[places].tolist() for column in self._places), strict=True)
        lost = self._lost_rows(int(self._lost_starts[row]), int(self._lost_starts[row + 1]))
        video_id = self._ids[row].as_py()
        return VideoFeatures(
            video_id=video_id,
            uri=self._uris[row].as_py(),
            duration=float(self.duration[row]),
            timeline=self.timeline_at(float(self.fps[row])),
            num_snippets=int(self.num_snippets[row]),
            chunks=tuple(
                StoredChunk(first, count, self.files[file], group, place)
                for first, count, file, group, place in chunks
            ),
            failure=_failure(video_id, lost) if lost else None,
            lost_chunks=tuple(chunk["chunk_id"] for chunk in lost),
            unanswered_chunks=tuple(
                chunk["chunk_id"] for chunk in lost if split_error(chunk["error"])[0] is FailureKind.STORAGE
            ),
            stated_duration=self._stated[row].as_py(),
            empty_chunks=int(self._empty[row]),
        )

    def timeline_at(self, fps: float) -> Timeline:
        """The time rule of a video of this rate."""
        return replace(self.timeline, fps=fps)

    def ids(self, rows: np.ndarray) -> pa.Array:
        """The ids of videos in these rows: indices `[N]`, or `[V]` bool."""
        return self._ids.filter(pa.array(rows)) if rows.dtype == bool else self._ids.take(pa.array(rows))

    def only(self, rows: np.ndarray) -> "StoreIndex":
        """The index of the videos in these rows, rising, and of nothing else."""
        if len(rows) == len(self):
            return self
        chunks, chunk_starts = _runs(self.chunk_starts, rows)
        lost, lost_starts = _runs(self._lost_starts, rows)
        places = self.chunks.take(chunks)
        used, file = np.unique(places["file"].to_numpy(), return_inverse=True)
        places = places.set_column(2, CHUNKS_SCHEMA.field("file"), pa.array(file, pa.int32()))
        return StoreIndex(
            self.timeline,
            [self.files[code] for code in used.tolist()],
            self.videos.take(rows),
            places,
            chunk_starts,
            self._lost.take(lost),
            lost_starts,
        )

    def lost(self, *, unanswered: bool = False) -> pa.Array:
        """Ids of all chunks that hold an error; with `unanswered`, of those that storage is to blame for."""
        rows = self._lost
        if unanswered:
            kind = pc.list_element(pc.split_pattern(rows["error"], ": ", max_splits=1), 0)
            rows = rows.filter(pc.equal(kind, str(FailureKind.STORAGE)))
        return _whole(rows["chunk_id"])

    def _row(self, video_id: str) -> int | None:
        low, high = 0, len(self._ids)
        while low < high:
            middle = (low + high) // 2
            if self._ids[middle].as_py() < video_id:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self._ids) and self._ids[low].as_py() == video_id else None

    def _lost_rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        return self._lost.slice(start, stop - start).to_pylist() if stop > start else []


class IndexedVideos(Sequence[VideoFeatures]):
    """Some videos of an index, in the order of its rows; each is made when it is asked for."""

    def __init__(self, index: StoreIndex, rows: np.ndarray) -> None:
        """Of `[N]` rows of `index`."""
        self._index, self._rows = index, rows

    @property
    def video_ids(self) -> pa.Array:
        """`[N]` ids."""
        return self._index.ids(self._rows)

    @property
    def num_snippets(self) -> np.ndarray:
        """`[N]` snippets of whole videos."""
        return self._index.num_snippets[self._rows]

    @property
    def fps(self) -> np.ndarray:
        """`[N]` frames per second of their timelines."""
        return self._index.fps[self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> VideoFeatures: ...

    @overload
    def __getitem__(self, place: slice) -> "IndexedVideos": ...

    def __getitem__(self, place: int | slice) -> "VideoFeatures | IndexedVideos":
        if isinstance(place, slice):
            return IndexedVideos(self._index, self._rows[place])
        return self._index.at(int(self._rows[place]))


def _failure(video_id: str, lost: list[dict[str, Any]]) -> Failure:
    """One failure for the lost chunks of a video, told by the first."""
    first = lost[0]
    kind, message = split_error(first["error"])
    where = f"chunk {first['chunk_index'] + 1} of {first['num_chunks']}"
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    return Failure(video_id, first["uri"], "extract", kind, f"{message} ({where}{more})")


def _runs(starts: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What belongs to these rows: `[N]` positions, and where each row's begin among them."""
    counts = (starts[1:] - starts[:-1])[rows]
    begin = np.concatenate([[0], np.cumsum(counts)])
    return np.repeat(starts[rows] - begin[:-1], counts) + np.arange(begin[-1]), begin


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
