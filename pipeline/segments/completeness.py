"""Whether a folder of predictions is whole: `<out>/complete.json` is there when its last predict came to its end."""

import json
from dataclasses import asdict, dataclass

from pipeline import storage
from pipeline.errors import InputError

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
    storage.write_bytes(storage.join(out, _RECORD), json.dumps(asdict(completeness), indent=1).encode())


def read_completeness(out: str) -> Completeness | None:
    """What `mark_complete` wrote, or None where predict has not come to its end.

    Raises InputError where it is damaged.
    """
    url = storage.join(out, _RECORD)
    if not storage.exists(url):
        return None
    try:
        return Completeness(**json.loads(storage.read_bytes(url)))
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{url}: not predict's record ({error}); run predict again") from error
