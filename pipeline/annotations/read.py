"""From a dataset's configuration to its annotations."""

from pipeline import storage
from pipeline.annotations.activitynet import read_activitynet
from pipeline.annotations.canonical import Annotations
from pipeline.config import DatasetConfig

_READERS = {"activitynet": read_activitynet}


def read_annotations(dataset: DatasetConfig, *, raw: bool = False) -> Annotations:
    """The truth of every subset of a dataset.

    Args:
        dataset: where the file lies and its format.
        raw: keep defects as published, for evaluation protocols whose reference figures count them.
    Raises:
        InputError: the file cannot be read or is malformed; names file, video and field.
    """
    with storage.open_read(dataset.annotations) as stream:
        return _READERS[dataset.format](stream, dataset.annotations, raw=raw)


def read_subset(dataset: DatasetConfig, name: str, *, raw: bool = False) -> Annotations:
    """One subset of a dataset. Raises InputError, listing the subsets there are, where there is none of that name."""
    return read_annotations(dataset, raw=raw).subset(name)
