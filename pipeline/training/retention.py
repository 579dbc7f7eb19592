"""Which checkpoints of a run are kept: the last one, and the best ones beside it."""

import logging

from pipeline import storage
from pipeline.detector.checkpoint import CHECKPOINTS, Progress, checkpoint_name, place_of
from pipeline.errors import InputError

logger = logging.getLogger(__name__)

# What Ray Train kept beside the checkpoints of runs that earlier versions began.
_OF_RAY = frozenset({"checkpoint_manager_snapshot.json", ".validate_storage_marker"})


def delete_outdated(run: str, progress: Progress, keep: int) -> None:
    """Delete the checkpoints of a run before its last one, which is of `progress`, but for the `keep` best of them.

    Best are those of the highest det-mAP, and of equal or no det-mAP the latest; those within an epoch are none. What a
    killed process had begun to write or to delete goes as well. Folders of later epochs stay: the run has not come
    there yet. Storage that is away only postpones this to the next checkpoint.
    """
    folder = storage.join(run, CHECKPOINTS)
    try:
        names = {
            file.url.removeprefix(folder).lstrip("/").split("/")[0] for file in storage.list_files(folder)
        }
        for name in sorted(names & _OF_RAY | outdated(names, progress, keep)):
            # Its description goes first, so that one that is half deleted is no checkpoint to anybody.
            storage.remove(storage.join(folder, name, "checkpoint.json"))
            storage.remove(storage.join(folder, name))
    except (InputError, OSError) as error:
        logger.warning("%s: older checkpoints are left for now (%s)", folder, error)


def outdated(names: set[str], progress: Progress, keep: int) -> set[str]:
    """Of folder names, those of the checkpoints before `progress` that are not among the `keep` best."""
    figures = {row["epoch"]: row for row in progress.history}
    places = map(place_of, names)
    before = [place for place in places if place is not None and place < (progress.epoch, progress.within)]
    best_first = sorted(
        (epoch for epoch, within in before if not within),
        key=lambda epoch: (figures.get(epoch, {}).get("det_map", -1.0), epoch),
        reverse=True,
    )
    outdated = [(epoch, 0) for epoch in best_first[keep:]] + [place for place in before if place[1]]
    return {checkpoint_name(*place) for place in outdated}
