"""Tables that users write (Parquet, CSV, JSON lines, lists), read as text: an id is what stands there, as it stands."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import storage
from pipeline.errors import InputError

_Columns = dict[str, list[str | None]]
_raw_of_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text_of = msgspec.json.Decoder(str).decode
_QUOTE, _BEGINS_NUMBER = ord('"'), b"-0123456789"


def is_manifest(url: str) -> bool:
    """Whether the name says that this is a table: `.parquet`, `.csv`, `.jsonl`, or `.txt`, whose lines are URIs."""
    return _suffix(url) in _READERS


def read_manifest(setting: str, url: str, required: Sequence[str], optional: Sequence[str] = ()) -> pa.Table:
    """These columns of a table, all of them as text: `0000270`, `1e5`, `2020-01-01`, `true`, `NA` stay as they are.

    Numbers of JSON lines are the digits of the file, those of Parquet their shortest form. Nothing (an empty field of
    CSV, null, a key that a line lacks) is null.

    Args:
        setting: the one to blame in messages, such as `videos`.
        url: a file with the name of a table (`is_manifest`).
        required: columns that must be there.
        optional: columns that may be; all null where one is not.
    Returns:
        A table of string columns in the order given.
    Raises:
        InputError: names the file and what is wrong, with row (from 1) and column where it is about one value.
    """
    suffix, name = _suffix(url), f"{setting}={url}"
    content = storage.read_bytes(url)
    try:
        return _READERS[suffix](content, name, required, optional)
    except (pa.ArrowException, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{name}: not a readable {suffix} manifest ({_one_line(error)})") from error


def _read_parquet(content: bytes, name: str, required: Sequence[str], optional: Sequence[str]) -> pa.Table:
    with pq.ParquetFile(io.BytesIO(content)) as file:
        there = file.schema_arrow.names
        _check_columns(there, name, required)
        table = file.read(columns=[column for column in (*required, *optional) if column in there])
    missing = pa.nulls(table.num_rows, pa.string())
    columns = {
        column: _as_text(table[column], name, column) if column in there else missing
        for column in (*required, *optional)
    }
    return pa.table(columns)


def _as_text(values: pa.ChunkedArray, name: str, column: str) -> pa.ChunkedArray:
    """A column of text or numbers as text. Raises InputError for any other type, whose text nobody could foresee."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = pc.cast(values, kind.value_type)
        kind = values.type
    if pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _empty_as_null(pc.cast(values, pa.string()))
    whole = pa.types.is_integer(kind)
    # 270 becomes 270.0 wherever a table of whole numbers once had a gap: no text of it can be trusted to be the id.
    if not whole and not (pa.types.is_floating(kind) and column not in ("video_id", "uri")):
        raise InputError(f"{name}: column {column} is of type {kind}; write it as text")
    return pc.cast(values, pa.string())


def _read_csv(content: bytes, name: str, required: Sequence[str], optional: Sequence[str]) -> pa.Table:
    text = io.StringIO(content.decode("utf-8-sig"), newline="")
    rows = csv.reader(text, strict=True)
    header = next(rows, [])
    _check_columns(header, name, required)
    wanted = [column for column in (*required, *optional) if column in header]
    for column in wanted:
        if header.count(column) > 1:
            raise InputError(f"{name}: has column {column} twice")
    places = {column: header.index(column) for column in wanted}
    columns: _Columns = {column: [] for column in (*required, *optional)}
    for number, row in enumerate(filter(None, rows), start=1):
        if len(row) != len(header):
            raise InputError(f"{name}: row {number} has {len(row)} fields and the header {len(header)}")
        for column, values in columns.items():
            values.append(row[places[column]] or None if column in places else None)
    return _text_table(columns)


def _read_json_lines(content: bytes, name: str, required: Sequence[str], optional: Sequence[str]) -> pa.Table:
    columns: _Columns = {column: [] for column in (*required, *optional)}
    there: dict[str, None] = {}
    lines = (line for line in content.decode("utf-8-sig").split("\n") if line.strip())
    for number, line in enumerate(lines, start=1):
        try:
            values = _raw_values(line, columns)
        except (msgspec.DecodeError, RecursionError):
            values = _json_values(line, name, number, required)
        there |= dict.fromkeys(values)
        for column, texts in columns.items():
            texts.append(_json_text(values.get(column), name, number, column))
    if there:
        _check_columns(there, name, required)
    return _text_table(columns)


def _raw_values(line: str, columns: _Columns) -> dict[str, Any]:
    """The values of a line by key, those of `columns` as `_json_values` has them: a tenth of its time."""
    values: dict[str, Any] = _raw_of_keys(line)
    for column in values.keys() & columns.keys():
        raw = bytes(values[column])
        if raw[0] == _QUOTE:
            values[column] = _text_of(raw)
        elif raw[0] in _BEGINS_NUMBER:
            values[column] = raw.decode()
        else:
            values[column] = msgspec.json.decode(raw)
    return values


def _json_values(line: str, name: str, number: int, required: Sequence[str]) -> dict[str, Any]:
    """The values of a line by key, numbers as they are written; raises InputError where it is no object."""
    try:
        values = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).decode(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: row {number} is not a line of JSON ({_one_line(error)})") from error
    if not isinstance(values, dict):
        raise InputError(f"{name}: row {number} is not an object with {', '.join(required)}")
    return values


def _read_list(content: bytes, name: str, required: Sequence[str], optional: Sequence[str]) -> pa.Table:
    _check_columns(["uri"], name, required)
    lines: list[str | None] = [line for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    empty: list[str | None] = [None] * len(lines)
    return _text_table({column: lines if column == "uri" else empty for column in (*required, *optional)})


def _json_text(value: Any, name: str, number: int, column: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InputError(
            f"{name}: row {number}, column {column}: must be text or a number, not {value!r:.60}"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a pair of surrogates, written as \ud83d
        raise InputError(
            f"{name}: row {number}, column {column}: is not text ({_one_line(error)})"
        ) from error
    return value


def _text_table(columns: _Columns) -> pa.Table:
    return pa.table({column: pa.array(values, type=pa.string()) for column, values in columns.items()})


def _empty_as_null(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)


def _check_columns(there: Iterable[str], name: str, required: Sequence[str]) -> None:
    there = list(there)
    missing = [column for column in required if column not in there]
    if missing:
        raise InputError(f"{name}: lacks column {', '.join(missing)}; it has {', '.join(there)}")


def _suffix(url: str) -> str:
    return PurePosixPath(url).suffix.lower()


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


_READERS: dict[str, Callable[[bytes, str, Sequence[str], Sequence[str]], pa.Table]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".txt": _read_list,
}
