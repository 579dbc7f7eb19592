"""The feature store: sharded Parquet of snippet features, read by video.

<url>/feature_spec.json   the one FeatureSpec that all its features follow
<url>/plan/               one row a chunk to be extracted
<url>/features/           one row a chunk extracted
<url>/failures/           one row a video, or part of it, that was lost
<url>/checkpoint/         Ray Data's record of the chunks that are done
<url>/missing.txt         videos that annotations named when features were imported, and that had none
"""

import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import InputError
from pipeline.failures import FAILURES_SCHEMA, Failure, FailureKind
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.spec import FeatureSpec
from pipeline.features.timeline import Timeline

logger = logging.getLogger(__name__)

_INDEX_COLUMNS = [*PLAN_SCHEMA.names, "error"]
_FOOTER_THREADS = 16


@dataclass(frozen=True)
class StoredChunk:
    """Where the features of a run of snippets lie: a row of a row group of a file."""

    first_snippet: int
    num_snippets: int
    file: str
    row_group: int
    row: int


@dataclass(frozen=True)
class VideoFeatures:
    """What a store knows of one video without reading its features.

    Attributes:
        video_id: the id.
        uri: the file that it came from.
        duration: seconds.
        timeline: the store's time rule with this video's `fps` filled in.
        num_snippets: snippets of the whole video, stored or not.
        chunks: the stored runs of snippets, in order.
        failure: why some of it is lost, or None.
        lost_chunks: ids of the chunks that hold an error instead of features.
        stated_duration: seconds that the header states, where the video ends before that and was kept
            (`decode.truncated=keep`); `duration` and all the rest then follow its true end. Else None.
        empty_chunks: recorded chunks that lie past that end.
    """

    video_id: str
    uri: str
    duration: float
    timeline: Timeline
    num_snippets: int
    chunks: tuple[StoredChunk, ...]
    failure: Failure | None
    lost_chunks: tuple[str, ...]
    stated_duration: float | None = None
    empty_chunks: int = 0

    @property
    def complete(self) -> bool:
        """Whether every snippet is stored."""
        return self.stored(0, self.num_snippets) == self.num_snippets

    @property
    def recorded_chunks(self) -> int:
        """Chunks that have a row, whatever it holds."""
        return len(self.chunks) + len(self.lost_chunks) + self.empty_chunks

    def stored(self, start: int, stop: int) -> int:
        """How many of the snippets `[start, stop)` are stored."""
        runs = ((c.first_snippet, c.first_snippet + c.num_snippets) for c in self.chunks)
        return sum(max(0, min(stop, last) - max(start, first)) for first, last in runs)


class FeatureStore:
    """Reads a store. It holds URLs, a spec and the index, so it may be sent to any process."""

    def __init__(self, url: str) -> None:
        """Open the store at `url`. Raises InputError where there is none."""
        self.url = storage.absolute(url)
        spec_url = storage.join(self.url, "feature_spec.json")
        if not storage.exists(spec_url):
            raise InputError(
                f"store={url}: no feature store there (feature_spec.json is missing); "
                "run extract or import_features first"
            )
        self.spec = FeatureSpec.from_json(storage.read_bytes(spec_url), spec_url)
        self._index: dict[str, VideoFeatures] | None = None

    @staticmethod
    def create(url: str, spec: FeatureSpec) -> "FeatureStore":
        """Open the store for writing features of `spec`, making it where there is none.

        Raises InputError that shows the difference where the store holds features of another spec.
        """
        spec_url = storage.join(url, "feature_spec.json")
        if not storage.exists(spec_url):
            storage.write_bytes(spec_url, spec.to_json())
        store = FeatureStore(url)
        differences = store.spec.differences(spec)
        if differences:
            raise InputError(
                f"store={url}: holds other features ({'; '.join(differences)}, where 'here' is the store and 'there' "
                "is this command); use another store= or the same settings"
            )
        return store

    def folder(self, name: str) -> str:
        """URL of one of the store's folders (`plan`, `features`, `failures`, `checkpoint`)."""
        return storage.join(self.url, name)

    def index(self) -> dict[str, VideoFeatures]:
        """Every planned or stored video by id, sorted; reads footers and narrow columns, never features.

        Videos that could not be probed are not here but in `failures()`.
        """
        if self._index is None:
            self._index = self._read_index()
        return self._index

    def load(self, video_id: str) -> np.ndarray:
        """All features of a video, `[T, dim]` float16.

        Raises InputError where the video is not in the store or not complete.
        """
        return self.load_range(video_id, 0, None)

    def load_range(self, video_id: str, start: int, stop: int | None) -> np.ndarray:
        """Features of snippets `[start, stop)` (None: to the end), `[stop - start, dim]` float16, by range reads.

        Raises InputError where the video is not in the store or those snippets are not.
        """
        video = self.index().get(video_id)
        if video is None:
            raise InputError(f"{self.url}: has no video {video_id}; it holds {len(self.index())} others")
        stop = video.num_snippets if stop is None else stop
        wanted = [
            c for c in video.chunks if c.first_snippet < stop and c.first_snippet + c.num_snippets > start
        ]
        if not 0 <= start < stop <= video.num_snippets or video.stored(start, stop) != stop - start:
            reason = f" ({video.failure.kind}: {video.failure.message})" if video.failure else ""
            stored = video.stored(0, video.num_snippets)
            raise InputError(
                f"{self.url}: snippets {start} to {stop} of {video_id} are not all stored: of its "
                f"{video.num_snippets}, {stored} are{reason}; run the command that wrote it again"
            )
        runs = self._read_chunks(wanted)
        rows = np.concatenate(runs)
        offset = wanted[0].first_snippet
        return rows[start - offset : stop - offset]

    def pending(self, retry_lost: bool = False) -> pa.Table:
        """The plan rows without a row of features, and those whose row holds an error where these count as well."""
        rows = self._feature_rows()
        lost = (
            {chunk for video in self.index().values() for chunk in video.lost_chunks} if retry_lost else set()
        )
        recorded = [chunk for chunks in rows.values() for chunk in chunks if chunk not in lost]
        tables = [_read_table(file.url) for file in storage.list_files(self.folder("plan"))]
        plan = pa.concat_tables([PLAN_SCHEMA.empty_table(), *tables])
        return plan.filter(pc.invert(pc.is_in(plan["chunk_id"], pa.array(recorded, pa.string()))))

    def failures(self) -> pa.Table:
        """All rows of `failures/`, in a table of `FAILURES_SCHEMA`."""
        tables = [_read_table(file.url) for file in storage.list_files(self.folder("failures"))]
        return pa.concat_tables([FAILURES_SCHEMA.empty_table(), *tables])

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "spec": self.spec, "_index": self._index}

    def _read_chunks(self, chunks: list[StoredChunk]) -> list[np.ndarray]:
        groups: dict[tuple[str, int], pa.Table] = {}
        for file in dict.fromkeys(chunk.file for chunk in chunks):
            with storage.open_read(file) as stream, pq.ParquetFile(stream) as parquet:
                for row_group in dict.fromkeys(chunk.row_group for chunk in chunks if chunk.file == file):
                    groups[file, row_group] = parquet.read_row_group(row_group, columns=["features"])
        return [
            np.frombuffer(
                groups[chunk.file, chunk.row_group]["features"][chunk.row].as_buffer(), dtype=np.float16
            ).reshape(chunk.num_snippets, self.spec.dim)
            for chunk in chunks
        ]

    def _read_index(self) -> dict[str, VideoFeatures]:
        rows = self._feature_rows()
        planned = self._planned_videos()
        videos = {}
        for video_id in sorted(rows.keys() | planned.keys()):
            stored = rows.get(video_id, {})
            videos[video_id] = _video(self.spec.timeline, planned.get(video_id), list(stored.values()))
        return videos

    def _feature_rows(self) -> dict[str, dict[str, dict[str, Any]]]:
        """`video_id -> chunk_id -> row`.

        A chunk that was written twice (tried again after an error, or by a writer that outlived its job) counts once,
        the row with features before the one with an error, and that before one that does not know the true end.
        """
        files = [
            file.url for file in storage.list_files(self.folder("features")) if file.url.endswith(".parquet")
        ]
        videos: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        with ThreadPoolExecutor(_FOOTER_THREADS) as pool:
            for rows in pool.map(_index_rows, files):
                for row in rows:
                    chunks = videos[row["video_id"]]
                    rivals = [row, *filter(None, [chunks.get(row["chunk_id"])])]
                    chunks[row["chunk_id"]] = min(rivals, key=_doubt)
        return videos

    def _planned_videos(self) -> dict[str, dict[str, Any]]:
        """`video_id -> {uri, duration, fps, num_snippets of the whole video}`."""
        videos: dict[str, dict[str, Any]] = {}
        for file in storage.list_files(self.folder("plan")):
            for row in _read_table(file.url).to_pylist():
                if row["chunk_index"] == row["num_chunks"] - 1:
                    end = row["first_snippet"] + row["num_snippets"]
                    videos[row["video_id"]] = row | {"num_snippets": end}
        return videos


def _read_table(url: str) -> pa.Table:
    with storage.open_read(url) as stream:
        return pq.read_table(stream)


def _index_rows(url: str) -> list[dict[str, Any]]:
    """The narrow columns of a features file, each row with its place; none of a file that was never finished."""
    try:
        with storage.open_read(url) as stream, pq.ParquetFile(stream) as parquet:
            rows = parquet.read(columns=_INDEX_COLUMNS).to_pylist()
            sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    except pa.ArrowInvalid:
        # A killed writer leaves it, and the next run of the command removes it before it writes the rows again.
        logger.warning("%s: not a whole file; a job is writing it or was killed", url)
        return []
    places = [(group, row) for group, size in enumerate(sizes) for row in range(size)]
    return [
        values | {"file": url, "row_group": group, "row": row}
        for values, (group, row) in zip(rows, places, strict=True)
    ]


def _doubt(row: dict[str, Any]) -> tuple[bool, float]:
    """The less, the better a row speaks for its chunk."""
    return row["error"] is not None, row["duration"]


def _video(timeline: Timeline, planned: dict[str, Any] | None, rows: list[dict[str, Any]]) -> VideoFeatures:
    """A video's entry from its last plan row (None where the plan is gone) and its feature rows."""
    first = planned or max(rows, key=lambda row: row["duration"])
    timeline = replace(timeline, fps=first["fps"])
    duration = min(row["duration"] for row in [first, *rows])
    cut_short = duration < first["duration"]
    if cut_short:
        whole = timeline.num_snippets(timeline.num_frames(duration))
    else:
        whole = first["num_snippets"] if planned else sum(row["num_snippets"] for row in rows)
    rows = sorted(rows, key=lambda row: row["chunk_index"])
    inside = [row for row in rows if row["first_snippet"] < whole]
    lost = [row for row in inside if row["error"] is not None]
    return VideoFeatures(
        video_id=first["video_id"],
        uri=first["uri"],
        duration=duration,
        timeline=timeline,
        num_snippets=whole,
        chunks=tuple(
            StoredChunk(r["first_snippet"], r["num_snippets"], r["file"], r["row_group"], r["row"])
            for r in inside
            if r["error"] is None
        ),
        failure=_failure(lost) if lost else None,
        lost_chunks=tuple(row["chunk_id"] for row in lost),
        stated_duration=first["duration"] if cut_short else None,
        empty_chunks=len(rows) - len(inside),
    )


def _failure(lost: list[dict[str, Any]]) -> Failure:
    """One failure for the lost chunks of a video, told by the first."""
    first = min(lost, key=lambda row: row["chunk_index"])
    kind, message = split_error(first["error"])
    where = f"chunk {first['chunk_index'] + 1} of {first['num_chunks']}"
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    return Failure(first["video_id"], first["uri"], "extract", kind, f"{message} ({where}{more})")


def split_error(error: str) -> tuple[FailureKind, str]:
    """The kind and the message of a features row's `error` column."""
    kind, _, message = error.partition(": ")
    return FailureKind(kind), message


def join_error(kind: FailureKind, message: str) -> str:
    """The `error` column of a lost chunk: the inverse of `split_error`."""
    return f"{kind}: {message}"
