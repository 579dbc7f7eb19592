"""Which videos of a store a prediction is of: all, those that are named, or those of a subset of a dataset."""

import difflib
import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.annotations.read import read_subset
from pipeline.errors import InputError
from pipeline.features.index import StoreIndex
from pipeline.inference.settings import PredictConfig

logger = logging.getLogger(__name__)

_MOST_COMPARED = 10_000  # ids, for a hint within a second


def chosen_videos(config: PredictConfig) -> pa.Array | None:
    """The ids that the settings choose, each once, sorted; None for all of the store.

    Raises InputError where a file of ids is missing or empty, or the dataset has no such subset.
    """
    if config.videos:
        return pa.array(sorted(set(_named(config.videos))), pa.string())
    dataset = config.dataset.if_given()
    if config.subset is None or dataset is None:
        return None
    name = dataset.train_subset if config.subset == "train" else dataset.test_subset
    return pa.array(sorted(read_subset(dataset, name).videos["video_id"].to_pylist()), pa.string())


def rows_of(chosen: pa.Array, index: StoreIndex, lost: Sequence[str], config: PredictConfig) -> np.ndarray:
    """The rows of `index`, rising, whose videos are `chosen`; a line counts those that the store does not know.

    Args:
        chosen: ids, each once, sorted.
        index: of the store.
        lost: ids that the store knows although they have no row.
        config: says what chose them.
    Raises:
        InputError: a video that is named, or all of a subset, is not in the store.
    """
    rows = index.find(chosen)
    strangers = sorted(set(chosen.filter(pa.array(rows < 0)).to_pylist()) - set(lost))
    if strangers and config.videos:
        near = difflib.get_close_matches(strangers[0], index if len(index) <= _MOST_COMPARED else [], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"videos={strangers[0]}: not in {config.store}, which has {len(index)} videos{hint}")
    if len(strangers) == len(chosen):
        raise InputError(
            f"subset={config.subset}: none of its {len(chosen)} videos is in {config.store}; dataset.id_prefix says "
            "how ids of the annotations become those of the store"
        )
    if strangers:
        logger.warning(
            "%d of %d videos of the subset are not in %s", len(strangers), len(chosen), config.store
        )
    return np.sort(rows[rows >= 0])


def _named(videos: tuple[str, ...]) -> list[str]:
    if len(videos) > 1 or not videos[0].endswith(".txt"):
        return list(videos)
    if not storage.exists(videos[0]):
        raise InputError(f"videos={videos[0]}: no such file; give a file of ids, one a line, or the ids")
    lines = storage.read_bytes(videos[0]).decode("utf-8-sig", "replace").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise InputError(f"videos={videos[0]}: names no video")
    return names
