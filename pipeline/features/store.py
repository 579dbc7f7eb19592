"""The feature store: sharded Parquet of snippet features, read by video.

<url>/feature_spec.json   the one FeatureSpec that all its features follow
<url>/plan/               one row a chunk to be extracted
<url>/features/           one row a chunk extracted
<url>/failures/           one row a video, or part of it, that was lost
<url>/checkpoint/         Ray Data's record of the chunks that are done
<url>/index/              what features/ holds, in narrow columns with their places; may go without a loss
<url>/merging.json        which files are being merged, while they are (`pipeline.features.compacting`)
<url>/recipe.json         all settings from which such features can be made again; absent where they were imported
<url>/missing.txt         videos that annotations named when features were imported, and that had none
"""

import posixpath
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import parquet, storage
from pipeline.errors import InputError
from pipeline.failures import FAILURES_SCHEMA, distinct_failures
from pipeline.features.index import StoreIndex
from pipeline.features.index_rows import FeatureRows, read_rows, write_part
from pipeline.features.index_rules import Counted, count_rows
from pipeline.features.plan_table import read_plan
from pipeline.features.spec import FeatureSpec
from pipeline.features.video_features import StoredChunk

_SPEC = "feature_spec.json"
_KEPT_FOOTERS = 256  # a footer has some hundred KB at most


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
        self._index: StoreIndex | None
        self._counts: Counted | None
        self._plan: pa.Table | None
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

    def index(self) -> StoreIndex:
        """Every planned or stored video by id, sorted; reads narrow columns, never features.

        Videos that could not be probed are not here but in `failures()`.
        """
        if self._index is None:
            self._count(read_rows(self.folder("features"), self.folder("index")))
        assert self._index is not None
        return self._index

    def record_index(self) -> None:
        """Read the index anew and let `index/` tell of all files, for those who open the store next.

        Only the store's one writer may.
        """
        self.forget_index()
        found = read_rows(self.folder("features"), self.folder("index"))
        write_part(found, self.folder("features"), self.folder("index"))
        self._count(found)

    def knowing(self, index: StoreIndex) -> "FeatureStore":
        """This store with an index that is known already, be it of a few of its videos."""
        store = FeatureStore.__new__(FeatureStore)
        store.__dict__ |= self.__dict__ | {"_index": index, "_counts": None, "_plan": None}
        return store

    def plan(self) -> pa.Table:
        """Every chunk that counts, once, in a table of `PLAN_SCHEMA`. Raises InputError naming a damaged file."""
        if self._plan is None:
            self._plan = read_plan(self.folder("plan"))
        return self._plan

    def editions(self) -> dict[str, int]:
        """The newest edition among the features of each video, where it is not 0."""
        return self._counted().editions

    @property
    def outdated_chunks(self) -> frozenset[str]:
        """Ids of planned chunks whose features are only there of an earlier edition of their video."""
        return self._counted().outdated

    @property
    def feature_files(self) -> frozenset[str]:
        """Names of the whole files in `features/`, as of the index."""
        self._counted()
        return self._whole_files

    @property
    def broken_files(self) -> tuple[str, ...]:
        """URLs of the files in `features/` that are not whole, as of the index."""
        self._counted()
        return self._broken_files

    def forget_index(self) -> None:
        """Read plan and index again when they are next asked for."""
        self._index = self._counts = self._plan = None
        self._footers: dict[str, pq.FileMetaData] = {}
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
        try:
            runs = self._read_chunks(wanted)
        except InputError as error:
            if all(storage.exists(chunk.file) for chunk in wanted):
                raise
            self.forget_index()  # a file was merged into another, unless it is just gone
            try:
                return self.load_range(video_id, start, stop)
            except InputError:
                raise error from None
        rows = np.concatenate(runs)
        offset = wanted[0].first_snippet
        return rows[start - offset : stop - offset]

    def pending(self, retry_lost: bool = False) -> pa.Table:
        """The plan rows that are to be done: those without features of their edition, and those that `redo` names."""
        plan, todo = self.plan(), ~self._counted().recorded
        if redo := self.redo(retry_lost):
            todo |= pc.is_in(plan["chunk_id"], pa.array(sorted(redo), pa.string())).to_numpy()
        return plan.filter(pa.array(todo))

    def redo(self, retry_lost: bool = False) -> frozenset[str]:
        """Ids of chunks to be done again although they have a row.

        These are outdated ones, those that storage lost, and, with `retry_lost`, all that hold an error.
        """
        return self.outdated_chunks.union(self.index().lost(unanswered=not retry_lost).to_pylist())

    def failures(self) -> pa.Table:
        """All rows of `failures/`, in a table of `FAILURES_SCHEMA`."""
        tables = parquet.read_folder(self.folder("failures"), parquet.read_table).values()
        return distinct_failures(pa.concat_tables([FAILURES_SCHEMA.empty_table(), *tables]))

    def __getstate__(self) -> dict[str, Any]:
        # What only writers look at stays behind.
        return self.__dict__ | {"_plan": None, "_counts": None, "_whole_files": frozenset(), "_footers": {}}

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

    def _counted(self) -> Counted:
        if self._counts is None:
            self._count(read_rows(self.folder("features"), self.folder("index")))
        assert self._counts is not None
        return self._counts

    def _count(self, found: FeatureRows) -> None:
        self._counts = count_rows(self.spec.timeline, self.plan(), found)
        self._index = self._counts.index
        self._broken_files = tuple(
            url for url, broken in zip(found.files, found.broken, strict=True) if broken
        )
        self._whole_files = frozenset(map(posixpath.basename, found.files)) - frozenset(
            map(posixpath.basename, self._broken_files)
        )


def _features_of(file: pq.ParquetFile, row_groups: list[int]) -> tuple[list[pa.Table], pq.FileMetaData]:
    return [file.read_row_group(group, columns=["features"]) for group in row_groups], file.metadata
