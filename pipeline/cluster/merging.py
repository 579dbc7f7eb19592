"""Small files of a folder that Ray writes resumably, merged into few: data files together with their records.

A merged file is written whole, then its record, and only then go the records and the files that it replaces. So at any
moment each row is there, at some moments twice, and as often recorded; whoever reads such a folder counts a row once.
`merging.json` tells which files are being merged: after a kill the next merge makes one of them and what they became.
"""

import posixpath
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline import parquet, storage
from pipeline.cluster.resumable import ROW_GROUP_BYTES, pending_in, record_of
from pipeline.records import DamagedRecordError, read_record, write_record

# A file of this part of the size that is aimed for is not worth another writing.
_LARGE = 0.5
_JOURNAL = "merging.json"


@dataclass(frozen=True)
class Unit:
    """What one record speaks of: the files of one task, or a single file where there are no records.

    Attributes:
        record: its name without a suffix.
        urls: of its data files.
        size: bytes of them together.
    """

    record: str
    urls: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Merged:
    """How many files there were, and how many there are now."""

    before: int
    after: int

    def __add__(self, other: "Merged") -> "Merged":
        return Merged(self.before + other.before, self.after + other.after)


def units_in(folder: str, checkpoint: str | None) -> list[Unit]:
    """The units in a folder, by name; `checkpoint` is the folder of records, None where the folder has none.

    Those with a record that was never committed are left to the next run of the command, which removes them.
    """
    records = [posixpath.basename(file.url) for file in storage.list_files(checkpoint)] if checkpoint else []
    pending = pending_in(records)
    files = defaultdict(list)
    for file in storage.list_files(folder):
        name = posixpath.basename(file.url)
        if name.endswith(".parquet"):
            files[record_of(name) if checkpoint else name.removesuffix(".parquet")].append(file)
    return [
        Unit(record, tuple(file.url for file in found), sum(file.size for file in found))
        for record, found in sorted(files.items())
        if record not in pending
    ]


def small(units: Sequence[Unit], megabytes: float) -> list[Unit]:
    """Those that are well under so many MiB, which a file aims for."""
    return [unit for unit in units if unit.size < _LARGE * megabytes * 2**20]


def in_groups(units: Sequence[Unit], megabytes: float) -> list[list[Unit]]:
    """Neighbouring units that together make about so many MiB each; a unit that stands alone is in none."""
    groups: list[list[Unit]] = [[]]
    for unit in small(units, megabytes):
        if groups[-1] and sum(each.size for each in groups[-1]) + unit.size > megabytes * 2**20:
            groups.append([])
        groups[-1].append(unit)
    return [group for group in groups if len(group) > 1]


def merge_resumable(
    root: str,
    target: str,
    id_column: str,
    megabytes: float,
    combine: Callable[[list[pa.Table]], pa.Table],
    switch: Callable[[str, Sequence[str]], None] | None = None,
) -> Merged:
    """Merge the small units of a folder, and what a merge that was killed has left.

    Args:
        root: URL of the folder that holds all others.
        target: name of one that `write_resumably` writes with its records in `checkpoint`.
        id_column: whose ids the records hold.
        megabytes: MiB that a file aims for.
        combine: the table that takes the place of some; of rows that are there twice it keeps the one that counts.
        switch: is told the URLs of a merged file and of those that it replaces, while all of them are there.
    """
    journal, checkpoint = storage.join(root, _JOURNAL), storage.join(root, "checkpoint")
    units = units_in(storage.join(root, target), checkpoint)
    begun = _begun(journal, units)
    merged = Merged(0, 0)
    others = in_groups([unit for unit in units if unit not in begun], megabytes)
    for group in [begun, *others] if begun else others:
        urls = [url for unit in group for url in unit.urls]
        record = f"merged-{uuid.uuid4().hex}"
        url = storage.join(root, target, f"{record}-000000.parquet")
        write_record(journal, _Merge(record, tuple(unit.record for unit in group)))
        table = combine([parquet.read_table(url) for url in urls])
        parquet.write_table(url, table, max(1, ROW_GROUP_BYTES * table.num_rows // max(1, table.nbytes)))
        ids = table.select([id_column]).replace_schema_metadata(None)
        parquet.write_table(storage.join(checkpoint, f"{record}.parquet"), ids)
        if switch is not None:
            switch(url, urls)
        _forget(checkpoint, group)
        merged += Merged(len(urls), 1)
    storage.remove(journal)
    return merged


@dataclass(frozen=True)
class _Merge:
    """What is being merged: the records of the new unit and of those that it takes the place of."""

    record: str
    replaces: tuple[str, ...]


def _begun(journal: str, units: Sequence[Unit]) -> list[Unit]:
    """What a killed merge has left: its file with those that it replaces and that are still there."""
    by_record = {unit.record: unit for unit in units}
    try:
        merge = read_record(journal, _Merge, "a note of a merge")
    except DamagedRecordError:
        merge = None
    if merge is None or merge.record not in by_record:
        return []
    left = [by_record[record] for record in merge.replaces if record in by_record]
    return [by_record[merge.record], *left] if left else []


def _forget(checkpoint: str, group: Sequence[Unit]) -> None:
    """Delete units that are merged into another, the record first, for one without a file tells of a loss."""
    for unit in group:
        storage.remove(storage.join(checkpoint, f"{unit.record}.parquet"))
        for url in unit.urls:
            storage.remove(url)


def merge_tables(
    folder: str,
    units: Sequence[Unit],
    megabytes: float,
    prefix: str,
    combine: Callable[[list[pa.Table]], pa.Table],
) -> Merged:
    """Merge files that no record speaks of, whose doubled rows their readers count once."""
    merged = Merged(0, 0)
    for group in in_groups(units, megabytes):
        urls = [url for unit in group for url in unit.urls]
        parquet.write_table(
            storage.join(folder, f"{prefix}{uuid.uuid4().hex}.parquet"),
            combine(list(map(parquet.read_table, urls))),
        )
        for url in urls:
            storage.remove(url)
        merged += Merged(len(urls), 1)
    return merged
