"""Predictions that a job makes for itself, of a run of its own: they follow the run when it is trained further."""

import logging

from pipeline import storage
from pipeline.detector.trained import find_checkpoint
from pipeline.records import read_record

logger = logging.getLogger(__name__)

_MADE_BY_PREDICT = (
    "complete.json", "predictions", "checkpoint", "segments", "results", "failures", "plan", "detector",
)  # fmt: skip
_PROVENANCE = "provenance.json"


def discard_outdated(out: str, run: str) -> bool:
    """Delete the predictions in `out` where `run` has come to another checkpoint since; whether it has.

    For folders that belong to the calling job only: what a user asked of predict is never deleted. What else lies in
    `out` stays.

    Raises InputError where the run has no whole checkpoint.
    """
    provenance = storage.join(out, _PROVENANCE)
    before = read_record(provenance, dict, "predict's provenance")
    if before is None:
        return False
    if before.get("checkpoint_digest") == find_checkpoint(run, None).digest:
        return False
    logger.info("%s: of an earlier checkpoint of %s, and made anew", out, run)
    for name in _MADE_BY_PREDICT:
        storage.remove(storage.join(out, name))
    # Last, so that what is left of a deletion that was stopped is never taken for the new checkpoint's.
    storage.remove(provenance)
    return True
