"""Padding, reading ahead, and the order of windows."""

import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.detector.batches import map_ahead, pad_windows
from pipeline.training.batches import epoch_batches


def test_short_windows_are_padded_at_the_end() -> None:
    rng = np.random.default_rng(0)
    windows = [rng.normal(size=(length, 3)).astype(np.float16) for length in (4, 2, 3)]
    features, padding_mask = pad_windows(windows)
    assert features.dtype == torch.float32
    assert features.shape == (3, 4, 3)
    assert padding_mask.tolist() == [[False] * 4, [False, False, True, True], [False, False, False, True]]
    assert (features[padding_mask] == 0).all()
    for row, mask, window in zip(features, padding_mask, windows, strict=True):
        np.testing.assert_array_equal(row[~mask].numpy(), window.astype(np.float32))


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 2**31), st.integers(0, 100))
def test_an_epoch_shows_every_window_once(num_windows: int, batch_size: int, seed: int, epoch: int) -> None:
    batches = epoch_batches(num_windows, batch_size, seed, epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(num_windows))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    again = epoch_batches(num_windows, batch_size, seed, epoch)
    assert all((left == right).all() for left, right in zip(batches, again, strict=True))


def test_seed_and_epoch_change_the_order() -> None:
    orders = [epoch_batches(100, 100, seed, epoch)[0].tolist() for seed, epoch in [(0, 0), (0, 1), (1, 0)]]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_results_come_in_order_and_few_are_computed_ahead() -> None:
    lock = threading.Lock()
    begun = 0

    def slow_when_even(item: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        time.sleep(0.002 * (item % 2 == 0))
        return item * item

    for position, result in enumerate(map_ahead(slow_when_even, range(40))):
        assert result == position**2
        with lock:
            assert begun <= position + 6
    assert begun == 40


def test_an_error_reaches_the_caller_and_stops_the_reading() -> None:
    read = []

    def fail_at_three(item: int) -> int:
        read.append(item)
        if item == 3:
            raise KeyError(item)
        return item

    results = map_ahead(fail_at_three, range(1000))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)
    assert len(read) < 20


@given(st.integers(1, 200), st.integers(1, 7), st.integers(0, 3))
def test_windows_of_like_length_share_batches_and_each_is_visited_once(
    windows: int, size: int, epoch: int
) -> None:
    lengths = np.random.default_rng(windows).integers(1, 500, windows)
    batches = epoch_batches(windows, size, seed=1, epoch=epoch, lengths=lengths)
    plain = epoch_batches(windows, size, seed=1, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(windows))
    assert sorted(map(len, batches)) == sorted(map(len, plain))

    def padding(order: list[np.ndarray]) -> int:
        return sum(int(lengths[batch].max()) * len(batch) - int(lengths[batch].sum()) for batch in order)

    if windows <= 16 * size:  # one block: no other order of full batches has less
        assert padding(batches) <= padding(plain) or windows % size
    again = epoch_batches(windows, size, seed=1, epoch=epoch, lengths=lengths)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))


def test_windows_are_padded_to_few_lengths() -> None:
    windows = [np.ones((length, 2), dtype=np.float16) for length in (3, 9)]
    features, padding_mask = pad_windows(windows, multiple=8)
    assert features.shape == (2, 16, 2)
    assert (~padding_mask).sum(dim=1).tolist() == [3, 9]
    assert features.sum() == 2 * 12
