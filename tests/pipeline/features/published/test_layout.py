"""Shapes in circulation become `[T, C]`, and no value is lost on the way to float16."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features.published.errors import FeatureFileError
from pipeline.features.published.layout import as_snippets, snippets_shape, to_half
from tests.pipeline.features.published.files import values


@pytest.mark.parametrize(
    "shape", [(7, 5), (1, 7, 5), (7, 1, 1, 5), (7, 5, 1, 1), (1, 1, 7, 1, 5)], ids=lambda shape: str(shape)
)
def test_dimensions_of_length_one_do_not_matter(shape: tuple[int, ...]) -> None:
    plain = values(7, 5)
    assert snippets_shape(shape, "time_channel") == (7, 5)
    assert (as_snippets(plain.reshape(shape), "time_channel") == plain).all()
    assert snippets_shape(shape, "channel_time") == (5, 7)
    assert (as_snippets(plain.reshape(shape), "channel_time") == plain.T).all()


@pytest.mark.parametrize("shape", [(5,), (1, 5), (1, 1, 1, 5)])
def test_a_single_vector_is_one_snippet(shape: tuple[int, ...]) -> None:
    vector = values(1, 5)
    assert (as_snippets(vector.reshape(shape), "time_channel") == vector).all()
    assert (as_snippets(vector.reshape(shape), "channel_time") == vector).all()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 7, 5), r"shape \[2, 7, 5\], which is not \[T, C\] even without"),
        ((), r"shape \[\], which is not"),
        ((1, 1), r"shape \[1, 1\], which is not"),
        ((0, 5), r"is empty: shape \[0, 5\]"),
    ],
)
def test_other_shapes_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(FeatureFileError, match=message):
        snippets_shape(shape, "time_channel")


@given(st.floats(-65504, 65504, width=64), st.sampled_from([np.float16, np.float32, np.float64]))
def test_what_float16_holds_is_rounded_once(value: float, dtype: type) -> None:
    array = np.full((2, 3), value, dtype=dtype)
    half = to_half(array)
    assert half.dtype == np.float16
    assert (half == array.astype(np.float16)).all()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "1 of its 6 values are NaN or infinite"),
        (-np.inf, "1 of its 6 values are NaN or infinite"),
        (70000.0, r"1 of its 6 values, such as 70000, do not fit float16 \(at most 65504\)"),
        (-1e30, "do not fit float16"),
    ],
)
def test_values_that_float16_cannot_hold_are_refused(value: float, message: str) -> None:
    array = values(2, 3)
    array[1, 2] = value
    with pytest.raises(FeatureFileError, match=message) as caught:
        to_half(array)
    assert caught.value.kind == "bad_features"
