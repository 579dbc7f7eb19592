"""What a run will train on: annotated videos matched with the store, cut into labelled windows."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.annotations.canonical import Annotations
from pipeline.annotations.one_class import as_one_class
from pipeline.annotations.published import Published
from pipeline.annotations.read import read_published, subset_of
from pipeline.errors import InputError
from pipeline.failures import Failure
from pipeline.features.failures import lost_videos
from pipeline.features.index import IndexedVideos, StoreIndex
from pipeline.features.recipe import read_recipe
from pipeline.features.store import FeatureStore
from pipeline.training.settings import TrainConfig
from pipeline.training.targets import LabelledWindows, label_windows
from pipeline.training.validation import ValidationSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """All that a worker needs to know; the same for every worker and every restart.

    Attributes:
        config: the resolved settings, URLs absolute.
        store: the features, with an index of the videos of this plan.
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
    videos: IndexedVideos
    windows: LabelledWindows
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
    published = read_published(dataset)
    truth = subset_of(published, dataset, dataset.train_subset)
    held_out = _held_out(truth, config)
    truth = truth.without(held_out)
    if config.class_agnostic:
        truth = as_one_class(truth, deduplicate=config.deduplicate)
    index = store.index()
    store = store.knowing(index)  # without what it was counted from
    rows = _usable(truth, index, dataset.train_subset)
    if not len(rows):
        raise InputError(_nothing_in_common(truth, store, config))
    windows = label_windows(IndexedVideos(index, rows), truth, config.windows)
    logger.info("%d training windows with %d targets", len(windows), len(windows.labels))
    if not len(windows.labels):
        raise InputError(
            f"dataset.annotations={dataset.annotations}: no training window shows an action; look at "
            "dataset.train_subset, windows.length and windows.min_visible"
        )
    name, to_validate = _to_validate(published, config, held_out)
    validated = rows[:0] if to_validate is None else _usable(to_validate, index, name)
    if to_validate is not None and not len(validated):
        logger.warning("no video of subset %s is in the store, so nothing is validated", name)
        to_validate = None
    lost = tuple(_lost(store, [truth] if to_validate is None else [truth, to_validate]))
    # Workers get the places of these videos, and need none of the others'.
    held = np.union1d(rows, validated)
    index = index.only(held)
    validation = None
    if to_validate is not None:
        videos = IndexedVideos(index, np.searchsorted(held, validated))
        validation = ValidationSet(videos, to_validate, truth.labels)
    return TrainingPlan(
        config=config,
        store=store.knowing(index),
        videos=IndexedVideos(index, np.searchsorted(held, rows)),
        windows=windows,
        truth=truth,
        labels=truth.labels,
        validation=validation,
        recipe=read_recipe(store.url),
        lost=lost,
    )


def _held_out(truth: Annotations, config: TrainConfig) -> list[str]:
    """The training videos that only validate: those whose ids' digests are the least, whatever the seed.

    Raises InputError where none would be left on either side.
    """
    if not isinstance(config.validate_on, float) or not config.validate_every:
        return []
    ids = truth.videos["video_id"].to_pylist()
    count = round(config.validate_on * len(ids))
    if not 0 < count < len(ids):
        raise InputError(
            f"validate_on={config.validate_on:g}: is {count} of {len(ids)} training videos; give a part that leaves "
            "some to validate on and some to learn from"
        )
    return sorted(ids, key=lambda video_id: hashlib.sha256(video_id.encode()).digest())[:count]


def _to_validate(
    published: Published, config: TrainConfig, held_out: Sequence[str]
) -> tuple[str, Annotations | None]:
    """The name and the truth of what validates; None where nothing shall."""
    dataset, name = config.dataset, config.validate_on
    if not config.validate_every:
        return str(name), None
    if held_out:
        truth = subset_of(published, dataset, dataset.train_subset, raw=True).of(held_out)
        return f"{dataset.train_subset}, held out", truth
    name = dataset.test_subset if name == "test" else str(name)
    return name, subset_of(published, dataset, name, raw=True)


def _usable(truth: Annotations, index: StoreIndex, subset: str) -> np.ndarray:
    """The rows of the annotated videos that are complete in the store, by id."""
    annotated = truth.videos["video_id"].take(pc.sort_indices(truth.videos["video_id"]))
    rows = index.find(annotated)
    there, complete = rows >= 0, index.has_all(annotated)
    usable = rows[complete]
    absent, incomplete = annotated.filter(pa.array(~there)), annotated.filter(pa.array(there & ~complete))
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
    annotated = pc.unique(
        pa.chunked_array(
            [chunk for truth in truths for chunk in truth.videos["video_id"].chunks], pa.string()
        )
    )
    missing = sorted(annotated.filter(pa.array(~store.index().has_all(annotated))).to_pylist())
    return lost_videos(store, missing) if missing else []


def _example(video_ids: pa.ChunkedArray) -> str:
    return f" (such as {video_ids[0].as_py()})" if len(video_ids) else ""


def _nothing_in_common(truth: Annotations, store: FeatureStore, config: TrainConfig) -> str:
    theirs = truth.videos["video_id"][0].as_py()
    ours = next(iter(store.index()), None)
    held = f"it holds videos such as {ours!r}" if ours else "it is empty"
    return (
        f"store={config.store}: has complete features of none of the {truth.videos.num_rows} videos of "
        f"subset {config.dataset.train_subset!r}, such as {theirs!r}; {held}"
    )
