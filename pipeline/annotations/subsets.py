"""Subset names: files of one dataset spell them differently."""

import logging

from pipeline.annotations.canonical import Annotations, counts
from pipeline.annotations.settings import DatasetConfig
from pipeline.errors import InputError

logger = logging.getLogger(__name__)

_SHORT = {"training": "train", "validation": "val", "testing": "test"}


def find_subset(name: str, annotations: Annotations, dataset: DatasetConfig) -> str:
    """The spelling in `annotations` of the subset that the configuration calls `name`.

    Case never matters. `train` is also found as `training`, `val` as `validation`, `test` as `testing`, and
    the other way round, but only where both of the dataset's subsets are found: OpenTAD's files call
    THUMOS14's test videos `validation`, which a configuration of `val` and `test` must not train on.

    Where the configuration says nothing (`train` and `test`, the defaults) and there are just two subsets, one to train
    on and one to validate on, the latter is what is tested on; a log line says so.

    Raises InputError, listing the subsets there are, where it is none of them.
    """
    sizes = counts(annotations.videos["subset"])
    if name.lower() in (subset.lower() for subset in sizes):
        return name
    spelling = {_short(subset): subset for subset in sizes}
    given = (_short(dataset.train_subset), _short(dataset.test_subset))
    if all(subset in spelling for subset in given) and _short(name) in spelling:
        return spelling[_short(name)]
    if len(sizes) == 2 and spelling.keys() == {"train", "val"} and _is_default(dataset):
        chosen = spelling["train" if name == dataset.train_subset else "val"]
        logger.info(
            "%s: has no subset %s; of its two, %s and %s, %s is taken",
            dataset.annotations, name, *sorted(sizes), chosen,
        )  # fmt: skip
        return chosen
    key = "test_subset" if name == dataset.test_subset else "train_subset"
    there = ", ".join(f"{subset} ({count} videos)" for subset, count in sorted(sizes.items())) or "none"
    raise InputError(
        f"dataset.annotations={dataset.annotations}: has no subset {name!r}; give dataset.{key}=, one of: {there}"
    )


def _is_default(dataset: DatasetConfig) -> bool:
    keys = ("train_subset", "test_subset")
    return all(getattr(dataset, key) == DatasetConfig.model_fields[key].default for key in keys)


def _short(name: str) -> str:
    return _SHORT.get(name.lower(), name.lower())
