"""Prediction: a store's videos through a trained detector, to `predictions/`, `segments/` and `results/`."""

import logging
import time
from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.cluster.needs import check_needs
from pipeline.cluster.runtime import connect
from pipeline.detector.trained import (
    check_features,
    find_checkpoint,
    settings_of,
    windows_for_prediction,
)
from pipeline.errors import InputError
from pipeline.failures import Failure, FailureKind
from pipeline.features.index import StoreIndex
from pipeline.features.store import FeatureStore
from pipeline.inference.chosen import chosen_videos, rows_of
from pipeline.inference.settings import PredictConfig
from pipeline.inference.stages import (
    PROPOSALS,
    Detection,
    Stage,
    lost_in,
    run_stages,
    undone,
    words_of,
)
from pipeline.inference.standing import finish, summarise
from pipeline.lease import hold
from pipeline.segments.completeness import mark_begun
from pipeline.summary import Summary

logger = logging.getLogger(__name__)


def predict(config: PredictConfig) -> Summary:
    """Detect the actions of a store's videos; the same command continues after any stop.

    With `naming.classes` the detector's own segments lie in `<out>/proposals`, and `out` holds them named.

    Raises InputError where another job writes into the folder.
    """
    info = find_checkpoint(config.run, config.checkpoint)
    windows_for_prediction(settings_of(info), config.windows)
    store = FeatureStore(config.store)
    check_features(info, store.spec, config.store, config.allow_feature_mismatch)
    chosen = chosen_videos(config)
    words = words_of(config.naming, store) if config.naming.classes else None
    with hold(config.out, "out", "predict", config.force):
        proposals = config.out if words is None else storage.join(config.out, PROPOSALS)
        detection = Detection.into(
            proposals, info, store.spec.digest, config.windows, config.merge, config.detect
        )
        stages: list[Stage] = [detection]
        if words is not None:
            stages.append(words.stage(config.out, detection.out, store.spec, config.naming, config.detect))
        return _predict(config, stages, store, chosen)


def _predict(
    config: PredictConfig, stages: Sequence[Stage], store: FeatureStore, chosen: pa.Array | None
) -> Summary:
    for stage in stages:
        mark_begun(stage.out.url)
    unusable, index = _unusable(store), store.index()
    if chosen is not None:
        index = index.only(rows_of(chosen, index, list(unusable), config))
        unusable = {video_id: unusable[video_id] for video_id in chosen.to_pylist() if video_id in unusable}
    complete = int(index.complete.sum())
    if not complete:
        raise InputError(
            f"store={config.store}: has no complete video ({len(unusable)} incomplete); run extract"
        )
    for stage in stages:
        stage.out.heal()
    pending = index.only(np.flatnonzero(index.complete & undone(stages, index, config.retry_failed)))
    kept_lost = len(_lost(stages, index, unusable)) if not config.retry_failed else 0
    logger.info(
        "%d videos in %s: %d to predict with %s, %d done, %d lost before, %d incomplete in the store",
        complete + len(unusable), config.store, len(pending), stages[0].out.provenance.checkpoint,
        complete - len(pending) - kept_lost, kept_lost, len(unusable),
    )  # fmt: skip
    started = time.monotonic()
    if pending:
        for stage in stages:
            stage.prepare()
        connect(config.ray)
        check_needs([need for stage in stages for need in stage.needs()])
        run_stages(stages, config.store, index, index.complete, retry_failed=config.retry_failed)
    seconds = time.monotonic() - started
    failed, skipped, videos = (
        _lost(stages, index, unusable),
        list(unusable.values()),
        complete + len(unusable),
    )
    for stage in stages:
        known = failed if stage is stages[-1] else [one for one in failed if one.stage == stage.job]
        finish(
            stage.out, [*known, *skipped], videos=videos, merge_over=config.merge_over, wrote=len(pending) > 0
        )
    return summarise(
        stages[-1].out, pending, failed, skipped, job="predict", videos=videos, seconds=seconds,
        results=config.results, allow_failures=config.allow_failures,
    )  # fmt: skip


def _lost(stages: Sequence[Stage], index: StoreIndex, unusable: Collection[str]) -> list[Failure]:
    return [failure for failure in lost_in(stages, index) if failure.video_id not in unusable]


def _unusable(store: FeatureStore) -> dict[str, Failure]:
    """The store's videos that cannot be predicted, by id; they are looked at anew by every run."""
    index = store.index()
    found = {
        row["video_id"]: Failure(
            row["video_id"],
            row["uri"],
            "predict",
            FailureKind.MISSING_FEATURES,
            f"{row['kind']}: {row['message']}",
        )
        for row in store.failures().to_pylist()
        if row["video_id"] not in index
    }
    for video in map(index.at, np.flatnonzero(~index.complete).tolist()):
        stored = video.stored(0, video.num_snippets)
        reason = f" ({video.failure.kind}: {video.failure.message})" if video.failure else ""
        found[video.video_id] = Failure(
            video.video_id,
            video.uri,
            "predict",
            FailureKind.MISSING_FEATURES,
            f"{stored} of {video.num_snippets} snippets are stored{reason}",
        )
    return found
