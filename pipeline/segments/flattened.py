"""`<out>/flattened.json`: which files of `segments/` count, and in which order, where predict has written them."""

import posixpath
from collections.abc import Sequence

from pipeline import storage
from pipeline.parquet import list_parquet
from pipeline.records import DamagedRecordError, read_record, write_record

_FILE = "flattened.json"


def read_flattened(out: str) -> list[str]:
    """Names of the files of `<out>/predictions/` that `<out>/segments/` tells of; none where nothing says."""
    try:
        return read_record(storage.join(out, _FILE), list[str], "a list of files") or []
    except DamagedRecordError:
        return []  # it is made anew


def write_flattened(out: str, names: Sequence[str]) -> None:
    """Let these files of `<out>/segments/`, each of them whole, be those that count: all at once."""
    write_record(storage.join(out, _FILE), list(names))


def forget_flattened(out: str) -> None:
    """Let nothing say which files count."""
    storage.remove(storage.join(out, _FILE))


def segment_files(out: str) -> list[str]:
    """URLs of the files of `<out>/segments/` that count, sorted: all of them where nothing says which."""
    files = list_parquet(storage.join(out, "segments"))
    told = set(read_flattened(out))
    return [url for url in files if posixpath.basename(url) in told] if told else files
