"""What a run will train on: annotated videos matched with the store, cut into labelled windows."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.annotations.canonical import Annotations
from pipeline.annotations.one_class import as_one_class
from pipeline.annotations.read import read_subset
from pipeline.errors import InputError
from pipeline.failures import Failure
from pipeline.features.failures import lost_videos
from pipeline.features.recipe import read_recipe
from pipeline.features.store import FeatureStore
from pipeline.features.video_features import VideoFeatures
from pipeline.training.settings import TrainConfig
from pipeline.training.targets import LabelledWindow, label_windows
from pipeline.training.validation import ValidationSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """All that a worker needs to know; the same for every worker and every restart.

    Attributes:
        config: the resolved settings, URLs absolute.
        store: the features.
        videos: the training videos, complete in the store.
        windows: the training windows with their targets.
        truth: the training subset.
        labels: class names in the order of the class indices, those of `truth`.
        validation: what to validate on, or None.
        recipe: how features like the store's can be made again, where that is known.
        lost: the annotated videos, of training and validation, that extraction has lost.
    """

    config: TrainConfig
    store: FeatureStore
    videos: tuple[VideoFeatures, ...]
    windows: tuple[LabelledWindow, ...]
    truth: Annotations
    labels: tuple[str, ...]
    validation: ValidationSet | None
    recipe: dict[str, Any] | None = None
    lost: tuple[Failure, ...] = ()


def make_plan(config: TrainConfig, store: FeatureStore) -> TrainingPlan:
    """Read the annotations, match them with the store, cut and label.

    One log line for each subset counts the videos that are annotated but not usable.

    Raises InputError where no training video is usable or none shows an action.
    """
    dataset = config.dataset
    truth = read_subset(dataset, dataset.train_subset)
    if config.class_agnostic:
        truth = as_one_class(truth, deduplicate=config.deduplicate)
    videos = _usable(truth, store, dataset.train_subset)
    if not videos:
        raise InputError(_nothing_in_common(truth, store, config))
    windows = label_windows(videos, truth, config.windows)
    logger.info("%d training windows with %d targets", len(windows), sum(len(w.labels) for w in windows))
    if not any(len(window.labels) for window in windows):
        raise InputError(
            f"dataset.annotations={dataset.annotations}: no training window shows an action; look at "
            "dataset.train_subset, windows.length and windows.min_visible"
        )
    validation = _validation_set(config, store, truth.labels) if config.validate_every else None
    return TrainingPlan(
        config=config,
        store=store,
        videos=tuple(videos),
        windows=tuple(windows),
        truth=truth,
        labels=truth.labels,
        validation=validation,
        recipe=read_recipe(store.url),
        lost=tuple(_lost(store, [truth, validation.truth] if validation else [truth])),
    )


def _validation_set(
    config: TrainConfig, store: FeatureStore, labels: tuple[str, ...]
) -> ValidationSet | None:
    dataset = config.dataset
    truth = read_subset(dataset, dataset.test_subset, raw=True)
    videos = _usable(truth, store, dataset.test_subset)
    if not videos:
        logger.warning("no video of subset %s is in the store, so nothing is validated", dataset.test_subset)
        return None
    return ValidationSet(tuple(videos), truth, labels)


def _usable(truth: Annotations, store: FeatureStore, subset: str) -> list[VideoFeatures]:
    """The annotated videos that are complete in the store, by id."""
    index = store.index()
    annotated = sorted(truth.videos["video_id"].to_pylist())
    absent = [video_id for video_id in annotated if video_id not in index]
    incomplete = [video_id for video_id in annotated if video_id in index and not index[video_id].complete]
    usable = [index[video_id] for video_id in annotated if video_id in index and index[video_id].complete]
    logger.info(
        "subset %s: %d of %d annotated videos are usable; the store lacks %d%s and has %d incomplete%s",
        subset,
        len(usable),
        len(annotated),
        len(absent),
        _example(absent),
        len(incomplete),
        _example(incomplete),
    )
    return usable


def _lost(store: FeatureStore, truths: Sequence[Annotations]) -> list[Failure]:
    """The annotated videos of which the store knows that they, or parts of them, are lost."""
    index = store.index()
    annotated = {video_id for truth in truths for video_id in truth.videos["video_id"].to_pylist()}
    missing = sorted(one for one in annotated if one not in index or not index[one].complete)
    return lost_videos(store, missing) if missing else []


def _example(video_ids: list[str]) -> str:
    return f" (such as {video_ids[0]})" if video_ids else ""


def _nothing_in_common(truth: Annotations, store: FeatureStore, config: TrainConfig) -> str:
    theirs = truth.videos["video_id"][0].as_py()
    ours = next(iter(store.index()), None)
    held = f"it holds videos such as {ours!r}" if ours else "it is empty"
    return (
        f"store={config.store}: has complete features of none of the {truth.videos.num_rows} videos of "
        f"subset {config.dataset.train_subset!r}, such as {theirs!r}; {held}"
    )
