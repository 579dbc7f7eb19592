"""Whether features tell anything apart: those of a broken network, or of black pictures, are the same everywhere."""

from collections.abc import Sequence

import numpy as np

from pipeline.features.store import FeatureStore

# Enough to meet something that varies if there is any, and read in a moment.
_VIDEOS, _SNIPPETS = 8, 256
# Sound features have some dead channels; not nineteen of twenty.
_MOST_CONSTANT = 0.95


def why_constant(store: FeatureStore, video_ids: Sequence[str]) -> str | None:
    """What is wrong with the features of complete videos, to be put after "features"; None where they vary.

    Looks at the middle of a few videos from all over the list.
    """
    if not video_ids:
        return None
    places = np.unique(np.linspace(0, len(video_ids) - 1, _VIDEOS).astype(int))
    chosen = [video_ids[place] for place in places]
    values = np.concatenate([_middle(store, video_id) for video_id in chosen])
    if len(values) < 2:
        return None
    constant = int((values == values[0]).all(axis=0).sum())
    if constant < _MOST_CONSTANT * values.shape[1]:
        return None
    looked = f"in all {len(values)} snippets looked at, of {len(chosen)} videos"
    if (values == values.flat[0]).all():
        return f"are {values.flat[0]:g} throughout ({looked})"
    return f"have one value in {constant} of {values.shape[1]} channels ({looked})"


def _middle(store: FeatureStore, video_id: str) -> np.ndarray:
    length = store.index()[video_id].num_snippets
    start = max(0, (length - _SNIPPETS) // 2)
    return store.load_range(video_id, start, min(length, start + _SNIPPETS))
