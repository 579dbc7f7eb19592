import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.points.offsets import offset_diou_loss, offset_iou, offset_iou_loss
from models.segments import tiou

PAIRS = torch.tensor([[[2, 4], [3, 3]], [[1, 1], [2, 4]], [[0, 0], [1, 2]], [[2, 4], [2, 4]]]).float()


def test_losses_are_the_published_ones() -> None:
    predicted, truth = PAIRS.unbind(1)
    expected = torch.tensor([0.306122, 0.694444, 1.027778, 0.0])
    torch.testing.assert_close(offset_diou_loss(predicted, truth), expected, atol=1e-6, rtol=0)
    expected = torch.tensor([0.285714, 0.666667, 1.0, 0.0])
    torch.testing.assert_close(offset_iou_loss(predicted, truth), expected, atol=1e-6, rtol=0)


@given(st.lists(st.floats(0.015625, 50), min_size=4, max_size=4))
def test_it_is_the_tiou_of_the_segments_around_the_point(distances: list[float]) -> None:
    a, b = torch.tensor(distances).view(2, 2)
    segments = [torch.stack((-one[0], one[1])) for one in (a, b)]
    assert offset_iou(a, b).item() == pytest.approx(tiou(*segments).item(), abs=1e-5)
    centres = [one.mean().item() for one in segments]
    enclosing = max(float(s[1]) for s in segments) - min(float(s[0]) for s in segments)
    distance = ((centres[0] - centres[1]) / enclosing) ** 2
    assert offset_diou_loss(a, b).item() == pytest.approx(1 - tiou(*segments).item() + distance, abs=1e-4)
