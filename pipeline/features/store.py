"""The feature store: sharded Parquet of snippet features, read by video.

<url>/feature_spec.json   the one FeatureSpec that all its features follow
<url>/plan/               one row a chunk to be extracted
<url>/features/           one row a chunk extracted
<url>/failures/           one row a video, or part of it, that was lost
<url>/checkpoint/         Ray Data's record of the chunks that are done
<url>/recipe.json         all settings from which such features can be made again; absent where they were imported
<url>/missing.txt         videos that annotations named when features were imported, and that had none
"""

import logging
import posixpath
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import parquet, storage
from pipeline.errors import InputError
from pipeline.failures import FAILURES_SCHEMA, Failure, FailureKind, split_error
from pipeline.features.plan_table import read_plan
from pipeline.features.schema import CHUNK_SCHEMA
from pipeline.features.spec import FeatureSpec
from pipeline.features.timeline import Timeline

logger = logging.getLogger(__name__)

_INDEX_COLUMNS = [*CHUNK_SCHEMA.names, "error"]
_SPEC = "feature_spec.json"
_KEPT_FOOTERS, _FOOTER_THREADS = 256, 16  # a footer has some hundred KB at most


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
        unanswered_chunks: those of them that storage, and not the video, is to blame for.
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
    unanswered_chunks: tuple[str, ...] = ()
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
        spec_url = storage.join(self.url, _SPEC)
        if not storage.exists(spec_url):
            raise InputError(
                f"store={url}: no feature store there (feature_spec.json is missing); "
                "run extract or import_features first"
            )
        self.spec = FeatureSpec.from_json(storage.read_bytes(spec_url), spec_url)
        self._index: dict[str, VideoFeatures] | None = None
        self._plan: pa.Table | None = None
        self.forget_index()

    @staticmethod
    def is_at(url: str) -> bool:
        """Whether there is a store at `url`."""
        return storage.exists(storage.join(url, _SPEC))

    @staticmethod
    def create(url: str, spec: FeatureSpec) -> "FeatureStore":
        """Open the store for writing features of `spec`, making it where there is none.

        Raises InputError that shows the difference where the store holds features of another spec.
        """
        storage.create_exclusively(storage.join(url, _SPEC), spec.to_json())
        store = FeatureStore(url)
        store.check_spec(spec)
        return store

    def check_spec(self, spec: FeatureSpec) -> None:
        """Raise InputError that shows the difference where a command's features are others than the store's."""
        differences = self.spec.differences(spec)
        if differences:
            raise InputError(
                f"store={self.url}: holds other features ({'; '.join(differences)}, where 'here' is the store and "
                "'there' is this command); use another store= or the same settings"
            )

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

    def plan(self) -> pa.Table:
        """Every chunk that counts, once, in a table of `PLAN_SCHEMA`. Raises InputError naming a damaged file."""
        if self._plan is None:
            self._plan = read_plan(self.folder("plan"))
        return self._plan

    def editions(self) -> dict[str, int]:
        """The newest edition among the features of each video, where it is not 0."""
        self.index()
        return self._editions

    @property
    def outdated_chunks(self) -> frozenset[str]:
        """Ids of planned chunks whose features are only there of an earlier edition of their video."""
        self.index()
        return self._outdated

    @property
    def feature_files(self) -> frozenset[str]:
        """Names of the whole files in `features/`, as of the index."""
        self.index()
        return self._whole_files

    @property
    def broken_files(self) -> tuple[str, ...]:
        """URLs of the files in `features/` that are not whole, as of the index."""
        self.index()
        return self._broken_files

    def forget_index(self) -> None:
        """Read plan and index again when they are next asked for."""
        self._index = None
        self._plan = None
        self._footers: dict[str, pq.FileMetaData] = {}
        self._recorded = pa.array([], pa.string())
        self._editions: dict[str, int] = {}
        self._outdated: frozenset[str] = frozenset()
        self._whole_files: frozenset[str] = frozenset()
        self._broken_files: tuple[str, ...] = ()

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
        """The plan rows that are to be done: those without features of their edition, and those that `redo` names."""
        plan = self.plan()
        self.index()
        done = pc.is_in(plan["chunk_id"], self._recorded)
        again = pc.is_in(plan["chunk_id"], pa.array(sorted(self.redo(retry_lost)), pa.string()))
        return plan.filter(pc.or_(pc.invert(done), again))

    def redo(self, retry_lost: bool = False) -> frozenset[str]:
        """Ids of chunks to be done again although they have a row.

        These are outdated ones, those that storage lost, and, with `retry_lost`, all that hold an error.
        """
        lost = {
            chunk
            for video in self.index().values()
            for chunk in (video.lost_chunks if retry_lost else video.unanswered_chunks)
        }
        return self.outdated_chunks | lost

    def failures(self) -> pa.Table:
        """All rows of `failures/`, in a table of `FAILURES_SCHEMA`."""
        tables = (parquet.read_table(url) for url in parquet.list_parquet(self.folder("failures")))
        return pa.concat_tables([FAILURES_SCHEMA.empty_table(), *tables])

    def __getstate__(self) -> dict[str, Any]:
        # What only writers look at stays behind.
        return self.__dict__ | {"_plan": None, "_recorded": None, "_whole_files": frozenset(), "_footers": {}}

    def _read_chunks(self, chunks: list[StoredChunk]) -> list[np.ndarray]:
        groups: dict[tuple[str, int], pa.Table] = {}
        for file in dict.fromkeys(chunk.file for chunk in chunks):
            row_groups = list(dict.fromkeys(chunk.row_group for chunk in chunks if chunk.file == file))
            read = partial(_features_of, row_groups=row_groups)
            tables, footer = parquet.read_file(file, read, self._footers.get(file))
            if len(self._footers) < _KEPT_FOOTERS:
                self._footers[file] = footer
            groups |= {(file, group): table for group, table in zip(row_groups, tables, strict=True)}
        return [
            np.frombuffer(
                groups[chunk.file, chunk.row_group]["features"][chunk.row].as_buffer(), dtype=np.float16
            ).reshape(chunk.num_snippets, self.spec.dim)
            for chunk in chunks
        ]

    def _read_index(self) -> dict[str, VideoFeatures]:
        planned = self._planned_videos()
        rows = self._feature_rows(planned)
        self._recorded = pa.array([chunk for chunks in rows.values() for chunk in chunks], pa.string())
        return {
            video_id: _video(self.spec.timeline, planned.get(video_id), list(rows.get(video_id, {}).values()))
            for video_id in sorted(rows.keys() | planned.keys())
        }

    def _feature_rows(self, planned: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
        """`video_id -> chunk_id -> row` of the planned edition.

        A chunk that was written twice (tried again after an error, or by a writer that outlived its job) counts once,
        the row with features before the one with an error, and that before one that does not know the true end.
        """
        files = parquet.list_parquet(self.folder("features"))
        videos: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        outdated: dict[str, str] = {}
        editions: dict[str, int] = {}
        broken = []
        with ThreadPoolExecutor(_FOOTER_THREADS) as pool:
            for file, rows in zip(files, pool.map(_index_rows, files), strict=True):
                if rows is None:
                    broken.append(file)
                for row in rows or ():
                    video_id, edition = row["video_id"], row["edition"]
                    if edition:
                        editions[video_id] = max(edition, editions.get(video_id, 0))
                    if video_id in planned and edition != planned[video_id]["edition"]:
                        outdated[row["chunk_id"]] = video_id
                        continue
                    chunks = videos[video_id]
                    rivals = [row, *filter(None, [chunks.get(row["chunk_id"])])]
                    chunks[row["chunk_id"]] = min(rivals, key=_doubt)
        self._editions, self._broken_files = editions, tuple(broken)
        self._whole_files = frozenset(posixpath.basename(file) for file in files) - frozenset(
            posixpath.basename(file) for file in broken
        )
        self._outdated = frozenset(
            chunk for chunk, video_id in outdated.items() if chunk not in videos.get(video_id, {})
        )
        return videos

    def _planned_videos(self) -> dict[str, dict[str, Any]]:
        """`video_id -> {uri, duration, fps, edition, num_snippets of the whole video}`."""
        plan = self.plan()
        last = plan.filter(pc.equal(plan["chunk_index"], pc.subtract(plan["num_chunks"], 1)))
        return {
            row["video_id"]: row
            | {"num_snippets": row["first_snippet"] + row["num_snippets"], "edition": row["edition"] or 0}
            for row in last.to_pylist()
        }


def _features_of(file: pq.ParquetFile, row_groups: list[int]) -> tuple[list[pa.Table], pq.FileMetaData]:
    return [file.read_row_group(group, columns=["features"]) for group in row_groups], file.metadata


def _index_rows(url: str) -> list[dict[str, Any]] | None:
    """The narrow columns of a features file, each row with its place; None of a file that is not whole."""

    def read(file: pq.ParquetFile) -> tuple[list[dict[str, Any]], list[int]]:
        columns = [name for name in _INDEX_COLUMNS if name in file.schema_arrow.names]
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        return file.read(columns=columns).to_pylist(), sizes

    try:
        rows, sizes = parquet.read_file(url, read)
    except parquet.DamagedFileError:
        # A killed writer leaves it, and the next run of the command removes it before it writes the rows again.
        logger.warning("%s: not a whole file; a job is writing it or was killed", url)
        return None
    places = [(group, row) for group, size in enumerate(sizes) for row in range(size)]
    return [
        values | {"edition": values.get("edition") or 0, "file": url, "row_group": group, "row": row}
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
        unanswered_chunks=tuple(
            row["chunk_id"] for row in lost if split_error(row["error"])[0] is FailureKind.STORAGE
        ),
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
