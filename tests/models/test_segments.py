import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.segments import inverse_sigmoid, pairwise_tiou, tiou, to_centre_width, to_start_end

times = st.integers(-2000, 2000).map(lambda milliseconds: milliseconds / 1000)
segments = st.tuples(times, times).map(sorted)
segment_lists = st.lists(segments, min_size=1, max_size=5)


def tensor(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def interval_tiou(a: list[float], b: list[float]) -> float:
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - overlap
    return overlap / union if union > 0 else 0.0


@given(segment_lists)
def test_centre_width_and_back_is_the_same_segment(rows: list[list[float]]) -> None:
    torch.testing.assert_close(to_start_end(to_centre_width(tensor(rows))), tensor(rows), atol=1e-12, rtol=0)


def test_centre_width_of_a_known_segment() -> None:
    torch.testing.assert_close(to_centre_width(tensor([[0.2, 0.6]])), tensor([[0.4, 0.4]]))


@given(segment_lists, segment_lists)
def test_pairwise_tiou_is_interval_arithmetic_symmetric_and_bounded(left: list, right: list) -> None:
    found = pairwise_tiou(tensor(left), tensor(right))
    expected = tensor([[interval_tiou(a, b) for b in right] for a in left])
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(found, pairwise_tiou(tensor(right), tensor(left)).T)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()


@given(segment_lists)
def test_paired_tiou_is_the_diagonal_and_one_for_itself(rows: list[list[float]]) -> None:
    a = tensor(rows)
    b = a + torch.tensor([0.0, 0.5])
    torch.testing.assert_close(tiou(a, b), pairwise_tiou(a, b).diagonal())
    torch.testing.assert_close(tiou(b, b), torch.ones(len(rows), dtype=torch.float64))


def test_reversed_and_empty_segments_overlap_nothing() -> None:
    whole = tensor([[0.0, 1.0]])
    assert tiou(tensor([[0.7, 0.2]]), whole).item() == 0
    assert tiou(tensor([[0.5, 0.5]]), tensor([[0.5, 0.5]])).item() == 0


@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_inverse_sigmoid_undoes_sigmoid_up_to_eps(eps: float) -> None:
    logits = torch.linspace(-6, 6, 13, dtype=torch.float64)
    torch.testing.assert_close(inverse_sigmoid(logits.sigmoid(), 1e-5), logits)
    limit = torch.tensor([eps], dtype=torch.float64)
    edges = torch.tensor([0.0, 1.0, -3.0, 4.0], dtype=torch.float64)
    bound = torch.log((1 - limit) / limit)
    torch.testing.assert_close(
        inverse_sigmoid(edges, eps), bound * torch.tensor([-1.0, 1.0, -1.0, 1.0]).double()
    )
