"""The checkpoint of a run that a job goes on from: the newest whose files are what was written."""

import posixpath
from collections.abc import Collection
from dataclasses import dataclass

from pipeline import storage
from pipeline.detector.checkpoint import (
    CHECKPOINTS,
    INFO,
    TO_RESUME,
    CheckpointInfo,
    DamagedError,
    check_files,
    place_of,
    read_info,
)
from pipeline.errors import InputError


@dataclass(frozen=True)
class Search:
    """What a look for a run's last checkpoint has found.

    Attributes:
        found: the newest one that is whole, or None.
        damaged: a line for each newer one, naming the file and what is wrong.
    """

    found: CheckpointInfo | None
    damaged: tuple[str, ...]

    def last(self, run: str) -> CheckpointInfo | None:
        """The one that was found. Raises InputError where `run` has only damaged ones."""
        if self.found is None and self.damaged:
            raise InputError(
                f"{self.damaged[0]}; run={run} has no other checkpoint: put the file back from a copy, or train into "
                "another run="
            )
        return self.found


def search_checkpoints(run: str, needed: Collection[str]) -> Search:
    """Look for the newest checkpoint of a run whose `needed` files are what was written; they are read for it.

    A folder without `checkpoint.json` was only begun by a killed run, and is passed over, as are folders of other
    names.

    Raises InputError where the storage cannot be read: what cannot be seen is not damaged.
    """
    folders = {}
    for file in storage.list_files(storage.join(run, CHECKPOINTS)):
        folder, name = posixpath.split(file.url)
        place = place_of(posixpath.basename(folder))
        if name == INFO and place is not None:
            folders[place] = folder
    damaged = []
    for _, folder in sorted(folders.items(), reverse=True):
        try:
            info = read_info(folder)
            check_files(info, needed)
        except InputError as error:
            if not storage.exists(storage.join(folder, INFO)):
                return search_checkpoints(
                    run, needed
                )  # a training that goes on has deleted it, and has a newer one
            if not isinstance(error, DamagedError):
                raise
            damaged.append(str(error))
        else:
            return Search(info, tuple(damaged))
    return Search(None, tuple(damaged))


def last_checkpoint(run: str) -> CheckpointInfo | None:
    """The newest checkpoint that a run can go on from, or None where it has none.

    Raises InputError where it has only damaged ones.
    """
    return search_checkpoints(run, TO_RESUME).last(run)
