"""Subset names: files of one dataset spell them differently."""

from pipeline.annotations.canonical import Annotations
from pipeline.annotations.settings import DatasetConfig

_SHORT = {"training": "train", "validation": "val", "testing": "test"}


def find_subset(name: str, annotations: Annotations, dataset: DatasetConfig) -> str:
    """The spelling in `annotations` of the subset that the configuration calls `name`.

    Case never matters. `train` is also found as `training`, `val` as `validation`, `test` as `testing`, and
    the other way round, but only where both of the dataset's subsets are found: OpenTAD's files call
    THUMOS14's test videos `validation`, which a configuration of `val` and `test` must not train on.
    """
    there = annotations.videos["subset"].unique().to_pylist()
    if name.lower() in (subset.lower() for subset in there):
        return name
    spelling = {_short(subset): subset for subset in there}
    if _short(dataset.train_subset) in spelling and _short(dataset.test_subset) in spelling:
        return spelling.get(_short(name), name)
    return name


def _short(name: str) -> str:
    return _SHORT.get(name.lower(), name.lower())
