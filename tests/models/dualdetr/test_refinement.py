import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from models.dualdetr.queries import MIN_WIDTH, Positions, Stream, inside
from models.dualdetr.refinement import ContentRefinement, refine
from models.segments import to_centre_width, to_start_end

share = st.floats(0, 1, width=32)
# Start and end on their own (they may be the wrong way round), centre and width.
places = st.tuples(share, share, share, share)
ORDERS = ["parallel", "boundary_to_instance", "instance_to_boundary"]


def positions(start: float, end: float, centre: float, width: float) -> Positions:
    return Positions(torch.tensor([[[start, end]]]), torch.tensor([[[centre, width]]]))


def near(found: Tensor, *expected: float) -> None:
    torch.testing.assert_close(found.flatten(), torch.tensor(expected), atol=1e-6, rtol=0)


@given(places)
def test_in_parallel_both_levels_follow_the_equations_and_hold_the_same_segment(
    case: tuple[float, float, float, float],
) -> None:
    s, e, c, d = case
    refined, segments = refine(positions(*case), "parallel")
    near(refined.instance, (c + (s + e) / 2) / 2, (d + (e - s)) / 2)  # Eq. 6
    near(refined.boundary, (s + (c - d / 2)) / 2, (e + (c + d / 2)) / 2)  # Eq. 7
    start, end = refined.boundary.flatten().tolist()
    near(refined.instance, (start + end) / 2, end - start)
    torch.testing.assert_close(segments, refined.boundary)


@given(places)
def test_inside_the_window_too_both_levels_hold_the_same_segment(
    case: tuple[float, float, float, float],
) -> None:
    held = refine(positions(*case), "parallel")[0].inside()
    torch.testing.assert_close(to_centre_width(held.boundary), held.instance, atol=1e-6, rtol=0)
    for segments in (held.boundary, to_start_end(held.instance)):
        start, end = segments.flatten().tolist()
        assert -1e-6 <= start < end <= 1 + 1e-6
        assert end - start >= MIN_WIDTH - 1e-6


@given(places)
def test_in_sequence_the_second_level_follows_the_first(case: tuple[float, float, float, float]) -> None:
    s, e, c, d = case
    refined, segments = refine(positions(*case), "boundary_to_instance")
    start, end = (s + (c - d / 2)) / 2, (e + (c + d / 2)) / 2
    centre, width = (c + (start + end) / 2) / 2, (d + (end - start)) / 2
    near(refined.boundary, start, end)
    near(refined.instance, centre, width)
    near(segments, centre - width / 2, centre + width / 2)

    refined, segments = refine(positions(*case), "instance_to_boundary")
    centre, width = (c + (s + e) / 2) / 2, (d + (e - s)) / 2
    start, end = (s + (centre - width / 2)) / 2, (e + (centre + width / 2)) / 2
    near(refined.boundary, start, end)
    near(refined.instance, centre, width)
    near(segments, start, end)


@pytest.mark.parametrize("order", ORDERS)
def test_levels_that_agree_are_left_alone_and_both_learn_from_the_prediction(order: str) -> None:
    boundary = torch.tensor([[[0.2, 0.7]]], requires_grad=True)
    instance = torch.tensor([[[0.45, 0.5]]], requires_grad=True)
    refined, segments = refine(Positions(boundary, instance), order)
    for found in (refined.boundary, to_start_end(refined.instance), segments):
        torch.testing.assert_close(found, boundary)
    (segments * torch.tensor([1.0, 2.0])).sum().backward()
    for level in (boundary, instance):
        assert level.grad is not None
        assert (level.grad != 0).all()


@given(st.floats(-1, 2, width=32), st.floats(-1, 2, width=32))
def test_segments_are_cut_off_at_the_window_and_never_vanish(start: float, end: float) -> None:
    found = inside(torch.tensor([start, end]))
    low, high = min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)
    if high - low >= MIN_WIDTH:
        near(found, low, high)
    else:
        width = found[1] - found[0]
        torch.testing.assert_close(width, torch.tensor(MIN_WIDTH), atol=1e-6, rtol=0)
        assert -1e-6 <= found[0] <= (low + high) / 2 + 1e-6
        assert (low + high) / 2 - 1e-6 <= found[1] <= 1 + 1e-6


def test_a_level_that_is_missing_follows_the_other() -> None:
    start, end = torch.tensor([[[0.2]]]), torch.tensor([[[0.6]]])
    both = Positions.of_streams({"start": start, "end": end})
    near(both.instance, 0.4, 0.4)
    both = Positions.of_streams({"instance": torch.tensor([[[0.4, 0.2]]])})
    near(both.boundary, 0.3, 0.5)
    near(both.of("start"), 0.3)
    near(both.of("end"), 0.5)


def test_refined_contents_keep_their_widths_and_depend_on_all_streams() -> None:
    torch.manual_seed(0)
    streams = (Stream("start", 0, 4), Stream("end", 4, 4), Stream("instance", 8, 8))
    contents = {stream.name: torch.randn(2, 3, stream.width, requires_grad=True) for stream in streams}
    found = ContentRefinement(streams, ffn_ratio=2, dropout=0.0)(contents)
    assert {name: content.shape for name, content in found.items()} == {
        name: content.shape for name, content in contents.items()
    }
    found["instance"].square().sum().backward()
    assert all(content.grad is not None and content.grad.abs().sum() > 0 for content in contents.values())
