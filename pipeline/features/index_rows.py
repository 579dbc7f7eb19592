"""The narrow columns of all feature rows of a store, with their places: from `index/` where it knows the file.

<store>/index/ holds parts: what the files that its writing runs found, or wrote, hold. A part is believed of a file
that is there with the size that it states, so a part may be old, and all of them may go without a loss.
"""

import logging
import posixpath
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import parquet, storage
from pipeline.errors import InputError
from pipeline.features.schema import CHUNK_SCHEMA

logger = logging.getLogger(__name__)

_READ_SCHEMA = pa.schema(
    [
        *CHUNK_SCHEMA,
        pa.field("error", pa.string()),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
    ]
)
# A row a feature row, its place, and the file that it is in: a path below `features/`, and its bytes.
INDEX_SCHEMA = pa.schema(
    [
        *_READ_SCHEMA,
        pa.field("file", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("file_size", pa.int64(), nullable=False),
    ]
)
_ROWS_SCHEMA = _READ_SCHEMA.append(pa.field("file", pa.int32(), nullable=False))
_THREADS = 16
_MOST_PARTS = 16


@dataclass(frozen=True)
class FeatureRows:
    """The rows of all whole files of a `features/` folder.

    Attributes:
        table: a row a feature row, in the order of files and rows: the chunk, its error, its place, and `file`, a
            position in `files`.
        files: URLs of all files, sorted.
        sizes: their bytes.
        broken: `[F]` bool, those that are not whole.
        told: `[F]` bool, those that a part of the index told of.
        parts: URLs of the parts that told of any; `idle_parts` those that did not.
    """

    table: pa.Table
    files: tuple[str, ...]
    sizes: tuple[int, ...]
    broken: np.ndarray
    told: np.ndarray
    parts: tuple[str, ...]
    idle_parts: tuple[str, ...]


def read_rows(features: str, index: str) -> FeatureRows:
    """The rows of the files in the folder `features`, by the parts in `index` as far as they go.

    A warning names each file that is not whole. Where a file is merged into another meanwhile, all are listed anew.
    """
    for _ in range(parquet.LOOKS - 1):
        files = _listed(features)
        try:
            return _read_rows(files, features, index)
        except InputError:
            if all(storage.exists(file.url) for file in files):
                raise
    return _read_rows(_listed(features), features, index)


def _listed(features: str) -> list[storage.StoredFile]:
    return [file for file in storage.list_files(features) if file.url.endswith(".parquet")]


def _read_rows(files: Sequence[storage.StoredFile], features: str, index: str) -> FeatureRows:
    places = {_name(file.url, features): (number, file.size) for number, file in enumerate(files)}
    told = np.zeros(len(files), dtype=bool)
    broken = np.zeros(len(files), dtype=bool)
    tables = [_ROWS_SCHEMA.empty_table()]
    parts: list[str] = []
    idle: list[str] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        listed = parquet.list_parquet(index)
        for url, part in zip(listed, pool.map(_read_part, listed), strict=True):
            rows = None if part is None else _believed(part, places, told)
            (idle if rows is None else parts).append(url)
            if rows is not None:
                tables.append(rows)
        untold = np.flatnonzero(~told).tolist()
        for number, rows in zip(untold, pool.map(_read_file, [files[n].url for n in untold]), strict=True):
            broken[number] = rows is None
            if rows is not None:
                tables.append(_in_file(rows, np.full(rows.num_rows, number)))
    table = pa.concat_tables(tables)
    order = table["file"].to_numpy()
    if (order[1:] < order[:-1]).any():
        table = table.take(np.argsort(order, kind="stable"))
    return FeatureRows(
        table.combine_chunks(),
        tuple(file.url for file in files),
        tuple(file.size for file in files),
        broken,
        told,
        tuple(parts),
        tuple(idle),
    )


def write_part(found: FeatureRows, features: str, index: str) -> None:
    """Let the parts in `index` tell of all whole files that were found in `features`. Only the store's writer may.

    Many parts become one; those that tell of nothing any more go.
    """
    merging = len(found.parts) >= _MOST_PARTS
    wanted = ~found.broken if merging else ~found.broken & ~found.told
    in_file = found.table["file"].to_numpy()
    if wanted.any() and (merging or wanted[in_file].any()):
        rows = found.table.filter(pa.array(wanted[in_file]))
        file = rows["file"].combine_chunks()
        names = pa.array([_name(url, features) for url in found.files], pa.string())
        sizes = np.array(found.sizes, dtype=np.int64)[file.to_numpy()]
        columns = [rows[name] for name in _READ_SCHEMA.names]
        part = pa.Table.from_arrays(
            [*columns, pa.DictionaryArray.from_arrays(file, names), pa.array(sizes)], schema=INDEX_SCHEMA
        )
        parquet.write_table(storage.join(index, f"{uuid.uuid4().hex}.parquet"), part)
    for url in (*found.idle_parts, *(found.parts if merging else ())):
        storage.remove(url)


def _read_part(url: str) -> pa.Table | None:
    """A part; None of one that is damaged, of another version, or removed meanwhile."""
    try:
        part = parquet.read_table(url)
    except parquet.DamagedFileError:
        logger.warning("%s: damaged; the files that it tells of are looked into", url)
        return None
    except InputError:
        if storage.exists(url):
            raise
        return None
    return part.select(INDEX_SCHEMA.names) if set(INDEX_SCHEMA.names) <= set(part.column_names) else None


def _believed(part: pa.Table, places: dict[str, tuple[int, int]], told: np.ndarray) -> pa.Table | None:
    """The rows of files that are there as the part has them and that none before it told of; None where there is none.

    Marks those files as `told`.
    """
    column = part["file"].unify_dictionaries().combine_chunks()
    codes = column.indices.to_numpy()
    number = np.full(len(column.dictionary), -1, dtype=np.int32)
    size = np.zeros(len(column.dictionary), dtype=np.int64)
    size[codes] = part["file_size"].to_numpy()
    for code, name in enumerate(column.dictionary.to_pylist()):
        place = places.get(name)
        if place is not None and place[1] == size[code] and not told[place[0]]:
            number[code] = place[0]
    in_file = number[codes]
    counts = in_file >= 0
    told[in_file[counts]] = True
    if not counts.any():
        return None
    rows = part if counts.all() else part.filter(pa.array(counts))
    return _in_file(rows.select(_READ_SCHEMA.names), in_file[counts])


def _read_file(url: str) -> pa.Table | None:
    """The narrow columns of a features file, each row with its place; None of a file that is not whole."""

    def read(file: pq.ParquetFile) -> tuple[pa.Table, list[int]]:
        columns = [name for name in _READ_SCHEMA.names if name in file.schema_arrow.names]
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        return file.read(columns=columns), sizes

    try:
        rows, sizes = parquet.read_file(url, read)
    except parquet.DamagedFileError:
        # A killed writer leaves it, and the next run of the command removes it before it writes the rows again.
        logger.warning("%s: not a whole file; a job is writing it or was killed", url)
        return None
    groups = np.repeat(np.arange(len(sizes)), sizes)
    place = np.concatenate([np.zeros(0, dtype=np.int64), *(np.arange(size) for size in sizes)])
    if "edition" not in rows.column_names:
        rows = rows.append_column("edition", pa.nulls(rows.num_rows, pa.int32()))
    rows = rows.append_column("row_group", pa.array(groups)).append_column("row", pa.array(place))
    return rows.select(_READ_SCHEMA.names).cast(_READ_SCHEMA)


def _in_file(rows: pa.Table, numbers: np.ndarray | Sequence[int]) -> pa.Table:
    arrays = [*rows.columns, pa.array(numbers, pa.int32())]
    return pa.Table.from_arrays(arrays, schema=_ROWS_SCHEMA)


def _name(url: str, folder: str) -> str:
    """The path of a file below a folder, the same wherever the store lies."""
    return posixpath.relpath(url.partition("::")[0], folder.partition("::")[0])
