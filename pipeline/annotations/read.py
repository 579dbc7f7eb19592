"""From a dataset's configuration to its annotations."""

import logging
from typing import IO

from pipeline import storage
from pipeline.annotations.actions_json import read_actions_json
from pipeline.annotations.activitynet import read_activitynet
from pipeline.annotations.canonical import Annotations
from pipeline.annotations.charades_csv import read_charades_csv
from pipeline.annotations.class_list import parse_class_list
from pipeline.annotations.label_studio import LABEL_STUDIO_FPS, read_label_studio
from pipeline.annotations.published import Published, merge, settle
from pipeline.annotations.settings import DatasetConfig
from pipeline.annotations.subsets import find_subset
from pipeline.annotations.tsu import TSU_FPS, read_tsu
from pipeline.annotations.via import read_via
from pipeline.annotations.zero_shot import zero_shot_split
from pipeline.errors import InputError

logger = logging.getLogger(__name__)


def read_annotations(dataset: DatasetConfig, *, raw: bool = False) -> Annotations:
    """The truth of every subset of a dataset, with all its classes.

    Args:
        dataset: where the files lie and their format.
        raw: keep defects as published, for evaluation protocols whose reference figures count them.
    Raises:
        InputError: a file cannot be read or is malformed; names file, video and field.
    """
    return _settled(read_published(dataset), dataset, raw)


def read_subset(dataset: DatasetConfig, name: str, *, raw: bool = False) -> Annotations:
    """One subset of a dataset as training and testing use it; `subset_of` tells how."""
    return subset_of(read_published(dataset), dataset, name, raw=raw)


def read_published(dataset: DatasetConfig) -> Published:
    """What all files of a dataset say. Raises InputError, naming file, video and field, where one is malformed."""
    parts = []
    for url in _files(dataset.annotations):
        with storage.open_read(url) as stream:
            parts.append(_read(dataset, stream, url))
    return merge(parts, dataset.annotations)


def subset_of(published: Published, dataset: DatasetConfig, name: str, *, raw: bool = False) -> Annotations:
    """One subset of a dataset whose files say `published`, as training and testing use it.

    `dataset.exclude` is left out of the test subset. In a zero-shot setting the training subset keeps only
    instances of seen classes and the test subset only those of unseen ones, and videos that keep none drop
    out; the labels are those classes.

    Raises InputError, listing the subsets there are, where there is none of that name.
    """
    annotations = _settled(published, dataset, raw)
    subset = annotations.subset(find_subset(name, annotations, dataset))
    testing = name == dataset.test_subset
    if testing and dataset.exclude:
        subset = subset.without(dataset.exclude)
    if not dataset.zero_shot.active:
        return subset
    split = zero_shot_split(annotations.labels, dataset.zero_shot)
    subset = subset.only(split.unseen if testing else split.seen)
    logger.info(
        "zero-shot split %d, %s classes only: %s",
        dataset.zero_shot.split_id, "unseen" if testing else "seen", subset,
    )  # fmt: skip
    return subset


def _settled(published: Published, dataset: DatasetConfig, raw: bool) -> Annotations:
    classes = None
    if dataset.classes is not None:
        classes = parse_class_list(storage.read_bytes(dataset.classes), dataset.classes)
    return settle(
        published,
        dataset.annotations,
        raw=raw,
        classes=classes,
        id_prefix=dataset.id_prefix,
        min_seconds=dataset.min_seconds,
    )


def _files(pattern: str) -> list[str]:
    """The files that `dataset.annotations` names. Raises InputError where a pattern matches none."""
    if not set(pattern) & set("*?[") or storage.exists(pattern):
        return [pattern]
    found = storage.glob_files(pattern)
    if not found:
        raise InputError(f"dataset.annotations={pattern}: matches no file")
    return [file.url for file in found]


def _read(dataset: DatasetConfig, stream: IO[bytes], url: str) -> Published:
    match dataset.format:
        case "activitynet":
            return read_activitynet(stream, url)
        case "actions":
            return read_actions_json(stream, url)
        case "charades_csv":
            return read_charades_csv(stream, url)
        case "tsu":
            return read_tsu(stream, url, dataset.fps or TSU_FPS)
        case "label_studio":
            return read_label_studio(stream, url, dataset.subset, dataset.fps or LABEL_STUDIO_FPS)
        case "via":
            return read_via(stream, url, dataset.subset)
