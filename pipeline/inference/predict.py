"""Prediction: a store's videos through a trained detector, to `predictions/`, `segments/` and `results/`."""

import logging
import time

import numpy as np
import pyarrow as pa

from pipeline.cluster.needs import check_needs
from pipeline.cluster.runtime import connect
from pipeline.detector.checkpoint import CheckpointInfo, copy_to_predict
from pipeline.detector.settings import DetectorSettings, WindowConfig
from pipeline.detector.trained import (
    check_features,
    find_checkpoint,
    settings_of,
    windows_for_prediction,
)
from pipeline.errors import InputError
from pipeline.failures import Failure, FailureKind
from pipeline.features.places import places_of
from pipeline.features.store import FeatureStore
from pipeline.inference.chosen import chosen_videos, rows_of
from pipeline.inference.detector_actor import DetectorActor
from pipeline.inference.graph import fill_predictions, need_of
from pipeline.inference.output import PredictionFolder, Provenance
from pipeline.inference.settings import PredictConfig
from pipeline.inference.standing import finish, standing
from pipeline.lease import hold
from pipeline.segments.completeness import mark_begun
from pipeline.summary import Summary

logger = logging.getLogger(__name__)


def predict(config: PredictConfig) -> Summary:
    """Detect the actions of a store's videos; the same command continues after any stop.

    Raises InputError where another job writes into the folder.
    """
    info = find_checkpoint(config.run, config.checkpoint)
    trained = settings_of(info)
    windows = windows_for_prediction(trained, config.windows)
    store = FeatureStore(config.store)
    check_features(info, store.spec, config.store, config.allow_feature_mismatch)
    chosen = chosen_videos(config)
    with hold(config.out, "out", "predict", config.force):
        return _predict(config, info, trained, windows, store, chosen)


def _predict(
    config: PredictConfig,
    info: CheckpointInfo,
    trained: DetectorSettings,
    windows: WindowConfig,
    store: FeatureStore,
    chosen: pa.Array | None,
) -> Summary:
    out = PredictionFolder(
        config.out,
        Provenance(
            checkpoint=info.url,
            checkpoint_digest=info.digest,
            feature_digest=store.spec.digest,
            window_length=windows.length,
            window_step=windows.test_step,
            window_last=windows.test_last if windows.test_last != trained.windows.test_last else None,
            merge=config.merge.apply(trained.merge),
        ),
    )
    mark_begun(out.url)
    unusable, index = _unusable(store), store.index()
    if chosen is not None:
        index = index.only(rows_of(chosen, index, list(unusable), config))
        unusable = {video_id: unusable[video_id] for video_id in chosen.to_pylist() if video_id in unusable}
    complete = int(index.complete.sum())
    if not complete:
        raise InputError(
            f"store={config.store}: has no complete video ({len(unusable)} incomplete); run extract"
        )
    out.heal()
    done, lost = standing(index, out.outcomes())
    todo = ~done if config.retry_failed else ~done & ~lost
    pending = index.only(np.flatnonzero(index.complete & todo))
    redo = frozenset(index.ids(index.complete & todo & lost).to_pylist())
    kept_lost = int((index.complete & lost & ~todo).sum())
    logger.info(
        "%d videos in %s: %d to predict with %s, %d done, %d lost before, %d incomplete in the store",
        complete + len(unusable), config.store, len(pending), info.url,
        complete - len(pending) - kept_lost, kept_lost, len(unusable),
    )  # fmt: skip
    started = time.monotonic()
    if pending:
        connect(config.ray)
        check_needs([need_of(config.detect, "detect", config.detect.gpus)])
        out.write_plan(places_of(pending))
        # A training that goes on deletes old checkpoints, and actors start at any time.
        copy_to_predict(info, out.folder("detector"))
        merge = out.provenance.merge
        arguments = (out.folder("detector"), config.store, windows, merge, config.detect)
        fill_predictions(
            out, out.folder("plan"), DetectorActor, arguments, config.detect, index=index, pending=pending,
            redo=redo, detections=merge.window_top_k, gpus=config.detect.gpus,
        )  # fmt: skip
    seconds = time.monotonic() - started
    return finish(
        out, index, pending, list(unusable.values()), job="predict", videos=complete, seconds=seconds,
        results=config.results, merge_over=config.merge_over, allow_failures=config.allow_failures,
    )  # fmt: skip


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
