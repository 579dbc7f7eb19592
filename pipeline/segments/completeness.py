"""Whether a folder of predictions is whole: `<out>/complete.json` is there when its last predict came to its end."""

from dataclasses import dataclass

from pipeline import storage
from pipeline.records import read_record, write_record

_RECORD = "complete.json"


@dataclass(frozen=True)
class Completeness:
    """What the last predict left: of `videos` in the store, `predicted` ones and `failed` ones (`failures/`)."""

    videos: int
    predicted: int
    failed: int


def mark_begun(out: str) -> None:
    """The folder `out` is not complete until `mark_complete`."""
    storage.remove(storage.join(out, _RECORD))


def mark_complete(out: str, completeness: Completeness) -> None:
    """Every video of the store has been dealt with, and `segments/` says what `predictions/` says."""
    write_record(storage.join(out, _RECORD), completeness)


def read_completeness(out: str) -> Completeness | None:
    """What `mark_complete` wrote, or None where predict has not come to its end.

    Raises InputError where it is damaged.
    """
    return read_record(storage.join(out, _RECORD), Completeness, "predict's record; run predict again")
