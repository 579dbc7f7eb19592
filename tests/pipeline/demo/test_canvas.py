"""The brushes: what they cover is the shape's area, wherever it lies."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.demo.canvas import ellipse, glow, polygon, stroke

WHITE = (1.0, 1.0, 1.0)
place = st.floats(18, 30)
radius = st.floats(3, 12)


def blank() -> np.ndarray:
    return np.zeros((3, 48, 48), dtype=np.float32)


@given(place, place, radius, radius)
def test_an_ellipse_covers_its_area_around_its_centre(x: float, y: float, rx: float, ry: float) -> None:
    picture = blank()
    ellipse(picture, (x, y), (rx, ry), WHITE)
    plane = picture[0].astype(np.float64)
    assert plane.sum() == pytest.approx(math.pi * rx * ry, rel=0.05)
    assert (plane.sum(axis=0) @ np.arange(48)) / plane.sum() == pytest.approx(x, abs=0.1)
    assert (plane.sum(axis=1) @ np.arange(48)) / plane.sum() == pytest.approx(y, abs=0.1)


@given(place, place, radius, st.floats(0, 2 * math.pi), st.integers(3, 7))
def test_a_polygon_covers_its_area_whichever_way_its_corners_go(
    x: float, y: float, r: float, turn: float, sides: int
) -> None:
    angles = [turn + 2 * math.pi * side / sides for side in range(sides)]
    corners = [(x + r * math.cos(a), y + r * math.sin(a)) for a in angles]
    one, other = blank(), blank()
    polygon(one, corners, WHITE)
    polygon(other, corners[::-1], WHITE)
    exact = sides / 2 * r * r * math.sin(2 * math.pi / sides)
    assert one[0].sum(dtype=np.float64) == pytest.approx(exact, rel=0.08, abs=1.5)
    assert np.allclose(one, other, atol=1e-4)


@given(place, place, st.floats(0, 2 * math.pi), st.floats(0, 12), st.floats(2, 8))
def test_a_stroke_covers_its_length_and_two_half_discs(
    x: float, y: float, turn: float, length: float, width: float
) -> None:
    picture = blank()
    stroke(picture, (x, y), (x + length * math.cos(turn), y + length * math.sin(turn)), width, WHITE)
    exact = length * width + math.pi * width * width / 4
    assert picture[0].sum(dtype=np.float64) == pytest.approx(exact, rel=0.06, abs=0.5)


def test_paint_blends_by_opacity_and_stays_inside_the_shape() -> None:
    picture = blank()
    picture[:] = 0.5
    ellipse(picture, (24, 24), (6, 6), (1.0, 0.0, 0.5), opacity=0.5)
    assert picture[:, 24, 24] == pytest.approx([0.75, 0.25, 0.5])
    y, x = np.mgrid[:48, :48]
    assert (picture[:, np.hypot(x - 24, y - 24) > 7] == 0.5).all()


def test_light_fades_from_its_middle_to_its_rim() -> None:
    picture = blank()
    glow(picture, (24, 24), 10, WHITE, 0.8)
    ray = picture[0, 24, 24:]
    assert ray[0] == pytest.approx(0.8)
    assert (np.diff(ray[:11]) < 0).all()
    assert (ray[10:] == 0).all()


def test_shapes_may_stick_out_or_lie_outside() -> None:
    picture = blank()
    for centre in ((-30, 24), (24, 90), (200, -200)):
        ellipse(picture, centre, (8, 8), WHITE)
        glow(picture, centre, 8, WHITE, 1.0)
    stroke(picture, (-20, -20), (-5, 60), 4, WHITE)
    polygon(picture, [(60, 0), (70, 0), (70, 10)], WHITE)
    assert (picture == 0).all()
    ellipse(
        picture, (-0.5, 24), (8, 8), WHITE
    )  # pixel centres are whole numbers: half of it is left of the edge
    assert picture[0].sum(dtype=np.float64) == pytest.approx(math.pi * 64 / 2, rel=0.03)
