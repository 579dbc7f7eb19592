"""Compaction: the many small files that runs have left in a folder, merged into few."""

from collections.abc import Sequence

from pipeline import parquet, storage
from pipeline.compaction.settings import CompactConfig
from pipeline.features.compacting import compact_store
from pipeline.features.healing import heal
from pipeline.features.store import FeatureStore
from pipeline.inference.output import MERGED_MB, PredictionFolder
from pipeline.lease import hold
from pipeline.screen import phase
from pipeline.summary import Summary

_STORE_MB = 128.0
_OF_A_STORE = ("features", "plan", "failures", "checkpoint")
_OF_PREDICTIONS = ("predictions", "segments", "checkpoint")


def compact(config: CompactConfig) -> Summary:
    """Merge the small files of a store or of predictions; what they say, and what is done of them, stays.

    Raises InputError where there is no such folder, or another job writes into it.
    """
    if config.store is not None:
        return _compact_store(config.store, config)
    assert config.predictions is not None  # the settings hold that there is one
    return _compact_predictions(config.predictions, config)


def _compact_store(url: str, config: CompactConfig) -> Summary:
    store = FeatureStore(url)
    with hold(url, "store", "compact", config.force):
        before = _count(url, _OF_A_STORE)
        heal(store)
        compact_store(store, config.file_mb or _STORE_MB)
        return _summary(url, _OF_A_STORE, before)


def _compact_predictions(url: str, config: CompactConfig) -> Summary:
    out = PredictionFolder.existing(url)
    with hold(url, "predictions", "compact", config.force):
        before = _count(url, _OF_PREDICTIONS)
        out.heal()
        with phase("merging small files"):
            out.merge(config.file_mb or MERGED_MB)
        return _summary(url, _OF_PREDICTIONS, before)


def _count(url: str, folders: Sequence[str]) -> dict[str, int]:
    return {name: len(parquet.list_parquet(storage.join(url, name))) for name in folders}


def _summary(url: str, folders: Sequence[str], before: dict[str, int]) -> Summary:
    """Of the files before: those that were merged away are done, the others were as they should be."""
    after = _count(url, folders)
    total = sum(before.values())
    gone = max(0, total - sum(after.values()))
    return Summary(
        job="compact",
        unit="files",
        total=total,
        done=gone,
        already_done=total - gone,
        outputs={"folder": url},
        figures={f"files in {name}": f"{before[name]} before, {after[name]} now" for name in folders},
    )
