"""The order in which an epoch visits its windows."""

import numpy as np

# Batches among whose windows those of like length are brought together: the more, the less padding and the less chance.
_BATCHES_SORTED = 16


def epoch_batches(
    num_windows: int, batch_size: int, seed: int, epoch: int, lengths: np.ndarray | None = None
) -> list[np.ndarray]:
    """Window indices of each step of an epoch: every window once, in an order that only seed and epoch
    decide.

    The last batch may be smaller. Workers split each batch among themselves, so their number does not change
    which windows make a step. With `lengths [num_windows]`, windows of like length share a batch: of each sixteen
    batches of the shuffled order, those in order of length are cut, and then shuffled.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(num_windows)
    if lengths is None:
        return _cut(order, batch_size)
    batches = []
    for block in _cut(order, _BATCHES_SORTED * batch_size):
        alike = _cut(block[np.argsort(lengths[block], kind="stable")], batch_size)
        batches += [alike[place] for place in generator.permutation(len(alike))]
    return batches


def _cut(order: np.ndarray, size: int) -> list[np.ndarray]:
    return [order[first : first + size] for first in range(0, len(order), size)]
