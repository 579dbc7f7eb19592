"""Means over segments against sums written as loops."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from models.levels import Level, flatten
from models.pooling import segment_means


def mean_by_hand(features: list[float], start: float, end: float) -> float:
    """Of tokens [i, i + 1), each by the part that lies in [start, end)."""
    centre, half = (start + end) / 2, max((end - start) / 2, 0.5)
    start, end = (min(max(edge, 0.0), len(features)) for edge in (centre - half, centre + half))
    parts = [max(0.0, min(end, i + 1) - max(start, i)) for i in range(len(features))]
    return sum(part * value for part, value in zip(parts, features, strict=True)) / max(end - start, 0.5)


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=12),
    st.integers(0, 4),
    st.lists(st.tuples(st.floats(-0.5, 1.5), st.floats(0, 1)), min_size=1, max_size=5),
)
def test_means_are_those_of_the_parts_of_tokens(
    values: list[float], padding: int, segments: list[tuple[float, float]]
) -> None:
    count = len(values)
    features = torch.tensor([*values, *[99.0] * padding])[None, :, None]
    mask = torch.arange(count + padding)[None] >= count
    # A coarser level, which is not looked at.
    tokens = flatten([Level(features, mask), Level(features[:, :1] + 7, mask[:, :1])])
    places = torch.tensor([[(start, start + width) for start, width in segments]])
    found = segment_means(tokens, places)[0, :, 0].tolist()
    for (start, width), mean in zip(segments, found, strict=True):
        expected = mean_by_hand(values, start * count, (start + width) * count)
        assert abs(mean - expected) < 1e-3


def test_features_learn_and_places_do_not() -> None:
    features = torch.randn(2, 6, 3, requires_grad=True)
    places = torch.tensor([[[0.1, 0.5]], [[0.3, 0.9]]], requires_grad=True)
    mask = torch.zeros(2, 6, dtype=torch.bool)
    mask[1, 4:] = True
    segment_means(flatten([Level(features, mask)]), places).sum().backward()
    assert places.grad is None
    assert (features.grad[1, 4:] == 0).all()
    assert (features.grad[1, 2] > 0).all()
