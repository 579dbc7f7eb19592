"""The order in which an epoch visits its windows."""

import numpy as np


def epoch_batches(num_windows: int, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Window indices of each step of an epoch: every window once, in an order that only seed and epoch
    decide.

    The last batch may be smaller. Workers split each batch among themselves, so their number does not change
    which windows make a step.
    """
    order = np.random.default_rng([seed, epoch]).permutation(num_windows)
    return [order[first : first + batch_size] for first in range(0, num_windows, batch_size)]
