"""Windows become padded tensors, read ahead of the network that waits for them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Item = TypeVar("Item")


Result = TypeVar("Result")


_READERS = 4


_AHEAD = 4


def pad_windows(windows: Sequence[np.ndarray], multiple: int = 1) -> tuple[Tensor, Tensor]:
    """Stack windows of different lengths.

    Args:
        windows: `B` arrays `[T_i, C]`.
        multiple: what T is brought to a multiple of.
    Returns:
        Features `[B, T, C]` float32, zero where padded, with T the longest window or a little more, and the padding
        mask `[B, T]` (True = padding).
    """
    lengths = torch.tensor([len(window) for window in windows])
    longest = -(-int(lengths.max()) // multiple) * multiple
    features = np.zeros((len(windows), longest, windows[0].shape[1]), dtype=np.float32)
    for row, window in zip(features, windows, strict=True):
        row[: len(window)] = window
    return torch.from_numpy(features), torch.arange(features.shape[1]) >= lengths[:, None]


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`map(function, items)` in order, with a few results computed ahead by threads.

    At most four results wait at any time, so memory does not grow with `items`.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(_READERS) as pool:
        waiting: deque[Future[Result]] = deque(
            pool.submit(function, item) for item in islice(remaining, _AHEAD)
        )
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
