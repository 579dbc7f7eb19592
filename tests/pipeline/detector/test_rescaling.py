"""Rescaled features lie where the snippets lay."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.detector.rescaling import Rescaling

counts = st.integers(1, 80)


@given(counts, counts)
def test_both_ways_agree_with_torch(count: int, length: int) -> None:
    features = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)
    torch_features = torch.from_numpy(features).T[None]
    nearest = torch.nn.functional.interpolate(torch_features, length, mode="nearest-exact")[0].T.numpy()
    # Between two snippets torch's rounding decides.
    clear = (2 * np.arange(length) + 1) * count % (2 * length) != 0
    np.testing.assert_array_equal(Rescaling(length, "nearest").apply(features)[clear], nearest[clear])
    linear = torch.nn.functional.interpolate(torch_features, length, mode="linear", align_corners=False)[0].T
    np.testing.assert_allclose(Rescaling(length, "linear").apply(features), linear, atol=1e-4)


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
@given(count=counts, length=counts)
def test_rows_stand_where_they_say(interpolation: str, count: int, length: int) -> None:
    """A feature that is its own snippet coordinate comes back as the row's, within half a snippet."""
    centres = (np.arange(count, dtype=np.float32) + 0.5)[:, None]
    rescaled = Rescaling(length, interpolation).apply(centres)[:, 0]
    place = (np.arange(length) + 0.5) / length * count
    assert (np.abs(rescaled - place) <= 0.5 + 1e-3).all()


@pytest.mark.parametrize("interpolation", ["nearest", "linear"])
def test_as_many_rows_as_snippets_are_the_snippets(interpolation: str) -> None:
    features = np.arange(12, dtype=np.float16).reshape(6, 2)
    np.testing.assert_array_equal(Rescaling(6, interpolation).apply(features), features)
