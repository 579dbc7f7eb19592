"""JSON files of our own: small records, written whole, and read so that a damaged one is named."""

from dataclasses import asdict, is_dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from pipeline import storage
from pipeline.errors import InputError

Record = TypeVar("Record")


class DamagedRecordError(InputError):
    """A file is not the record that was written."""


def write_record(url: str, record: Any) -> None:
    """Replace the file at `url`, atomically, by a dataclass or a plain value. Raises as `storage.write_bytes` does."""
    storage.write_bytes(url, record_bytes(record))


def record_bytes(record: Any) -> bytes:
    """The content of a record's file."""
    return to_json(
        asdict(record) if is_dataclass(record) and not isinstance(record, type) else record,
        indent=1,
        inf_nan_mode="constants",
    )


def read_record(url: str, kind: type[Record], what: str) -> Record | None:
    """The record in the file at `url`, or None where there is no file; raises as `parse_record` does."""
    return parse_record(storage.read_bytes(url), url, kind, what) if storage.exists(url) else None


def parse_record(content: bytes, name: str, kind: type[Record], what: str) -> Record:
    """A record from its file's content.

    Args:
        content: JSON.
        name: of the file, for messages.
        kind: a dataclass, whose types are checked and which need not know all that is there; or a plain type.
        what: the record, for messages.
    Raises:
        DamagedRecordError: naming the file, what it should be, and what is wrong.
    """
    try:
        return TypeAdapter(kind).validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))
        reason = f"{place}: {problem['msg']}" if place else problem["msg"]
        raise DamagedRecordError(f"{name}: damaged, not {what} ({reason})") from error
