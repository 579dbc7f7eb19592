"""The picture of salience heads has a curve a place, a bar a proposal and a band a true segment."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.image import imread

from pipeline.report.salience import SaliencePanel, rows_without_overlap, salience_figure
from pipeline.report.style import png

TIMES = np.arange(20) * 0.5 + 0.25


def panel(
    title: str = "v0",
    proposals: tuple[tuple[float, float, float], ...] = ((1.0, 4.0, 0.9), (3.0, 6.0, 0.4), (7.0, 8.0, 1.3)),
    truth: tuple[tuple[float, float], ...] = ((1.2, 4.1), (6.5, 8.0)),
    places: tuple[str, ...] = ("pyramid", "encoder"),
) -> SaliencePanel:
    rows = np.array(proposals).reshape(-1, 3)
    curves = {place: np.linspace(0, 1, 20) / (index + 1) for index, place in enumerate(places)}
    return SaliencePanel(title, TIMES, curves, rows[:, :2], rows[:, 2], np.array(truth).reshape(-1, 2))


def bars(axes: Axes) -> list[tuple[float, float, float, float]]:
    """(start, end, top, opacity) of each proposal drawn, in drawing order."""
    found = []
    for collection in axes.collections:
        assert isinstance(collection, PolyCollection)
        corners = collection.get_paths()[0].vertices
        start, end, top = corners[:, 0].min(), corners[:, 0].max(), corners[:, 1].max()
        found.append((start, end, top, collection.get_alpha()))
    return found


def test_dollar_signs_are_drawn() -> None:
    picture = png(lambda: salience_figure([panel(r"$\nothing$", places=("$^$",))]))
    assert picture.startswith(b"\x89PNG")


def test_curves_bars_and_bands() -> None:
    first, second = salience_figure([panel(), panel("v1", (), (), ("encoder",))]).axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["v0", "v1"]
    for line, place, expected in zip(
        first.lines, ("pyramid", "encoder"), panel().probabilities.values(), strict=True
    ):
        assert line.get_label() == place
        np.testing.assert_array_equal(line.get_xdata(), TIMES)
        np.testing.assert_array_equal(line.get_ydata(), expected)
    bands = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in first.patches]
    assert bands == [pytest.approx((1.2, 4.1)), pytest.approx((6.5, 8.0))]
    # The surest first and highest; what overlaps it in a row of its own; a score cannot be more than opaque.
    (a, b, c) = bars(first)
    assert a[:2] == (7.0, 8.0)
    assert b[:2] == (1.0, 4.0)
    assert c[:2] == (3.0, 6.0)
    assert a[2] == b[2] > c[2]
    assert b[2] < 0
    assert [bar[3] for bar in (a, b, c)] == [1.0, 0.9, 0.4]
    assert len(second.lines) == 1
    assert bars(second) == []
    assert not second.patches


def test_a_place_keeps_its_colour_in_all_panels_and_in_the_legend() -> None:
    figure = salience_figure([panel(), panel(places=("encoder",)), panel(places=("pyramid", "encoder"))])
    colours: dict[str, set[str]] = {}
    for axes in figure.axes:
        for line in axes.lines:
            colours.setdefault(str(line.get_label()), set()).add(line.get_color())
    assert {place: len(found) for place, found in colours.items()} == {"pyramid": 1, "encoder": 1}
    assert colours["pyramid"] != colours["encoder"]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["foreground, pyramid", "foreground, encoder", "proposal", "true"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=20))
def test_no_row_has_an_overlap_and_none_is_left_out(pairs: list[tuple[int, int]]) -> None:
    segments = np.array([(start, start + length) for start, length in pairs], dtype=float).reshape(-1, 2)
    rows = rows_without_overlap(segments)
    assert len(rows) == len(segments)
    for row in set(rows):
        inside = segments[[index for index, own in enumerate(rows) if own == row]]
        ordered = inside[np.argsort(inside[:, 0])]
        assert (ordered[1:, 0] >= ordered[:-1, 1]).all()
    assert set(rows) == set(range(max(rows, default=-1) + 1))


SHORT = SaliencePanel(
    "one snippet",
    TIMES[:1],
    {"encoder": np.ones(1)},
    proposals=np.zeros((0, 2)),
    scores=np.zeros(0),
    truth=np.zeros((0, 2)),
)


@pytest.mark.parametrize("panels", [[], [SHORT], [panel(), panel("v1"), SHORT]])
def test_writes_a_png(panels: list[SaliencePanel]) -> None:
    picture = io.BytesIO(png(lambda: salience_figure(panels)))
    assert imread(picture, format="png").shape[1] == 1950
