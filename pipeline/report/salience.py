"""What salience heads see: foreground probability over time, with proposals and truth (TP2-DETR, Figure 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pipeline.report.style import BLUE, DPI, GREEN, INK, ORANGE, PINK, TRUE, VERMILION, plain

_CURVES = (BLUE, GREEN, PINK, ORANGE)
_COLUMNS = 2
# Inches.
_WIDTH, _PANEL_HEIGHT, _HEADER_HEIGHT = 13.0, 2.0, 0.6
# Proposals lie in rows below the axis of probabilities, so that overlapping ones can be told apart.
_ROW = 0.09


@dataclass(frozen=True)
class SaliencePanel:
    """A window or a video.

    Attributes:
        title: what stands above it.
        times: `[T]`, the centres of the snippets in seconds, rising.
        probabilities: for each place in the network `[T]` in [0, 1].
        proposals: `[N, 2]` (start, end) in seconds.
        scores: `[N]` in [0, 1].
        truth: `[M, 2]` in seconds; none where it is not known.
    """

    title: str
    times: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    proposals: np.ndarray
    scores: np.ndarray
    truth: np.ndarray


def salience_figure(panels: Sequence[SaliencePanel]) -> Figure:
    """A panel each: a curve for each place, true segments behind them, proposals as bars below.

    A bar is as opaque as its score is high; overlapping proposals take further rows, the best first.
    """
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(
        figsize=(_WIDTH, _HEADER_HEIGHT + _PANEL_HEIGHT * max(rows, 1)),
        dpi=DPI,
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06),
    )
    places = list(dict.fromkeys(place for panel in panels for place in panel.probabilities))
    colours = {place: _CURVES[index % len(_CURVES)] for index, place in enumerate(places)}
    for index, panel in enumerate(panels):
        _draw_panel(figure.add_subplot(rows, _COLUMNS, index + 1), panel, colours)
    key = [Line2D([], [], color=colour, label=f"foreground, {place}") for place, colour in colours.items()]
    bars = [Patch(color=VERMILION, label="proposal")]
    if any(len(panel.truth) for panel in panels):
        bars.append(Patch(color=TRUE, alpha=0.35, label="true"))
    figure.legend(
        handles=[*key, *bars],
        loc="outside upper center",
        ncols=len(key) + len(bars),
        frameon=False,
        fontsize=9,
    )
    return figure


def _draw_panel(axes: Axes, panel: SaliencePanel, colours: Mapping[str, str]) -> None:
    for start, end in panel.truth:
        axes.axvspan(start, end, color=TRUE, alpha=0.35, linewidth=0, label="true")
    for place, probability in panel.probabilities.items():
        axes.plot(panel.times, probability, color=colours[place], linewidth=1.2, label=place)
    best = np.argsort(-panel.scores, kind="stable")
    rows = rows_without_overlap(panel.proposals[best])
    for (start, end), score, row in zip(panel.proposals[best], panel.scores[best], rows, strict=True):
        axes.broken_barh(
            [(start, end - start)],
            (-_ROW * (row + 1), 0.8 * _ROW),
            facecolor=VERMILION,
            alpha=float(np.clip(score, 0.05, 1.0)),
            label="proposal",
        )
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold", color=INK)
    if len(panel.times):
        axes.set_xlim(panel.times[0], max(panel.times[-1], np.nextafter(panel.times[0], np.inf)))
    axes.set_ylim(-_ROW * (max(rows, default=0) + 1.5), 1.02)
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.xaxis.set_major_formatter("{x:g} s")
    plain(axes, grid="y")


def rows_without_overlap(segments: np.ndarray) -> list[int]:
    """The first row for each segment `[N, 2]`, in this order, where no earlier one overlaps it."""
    rows: list[list[tuple[float, float]]] = []
    chosen = []
    for start, end in segments.tolist():
        free = (
            index
            for index, row in enumerate(rows)
            if all(end <= left or right <= start for left, right in row)
        )
        row = next(free, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append((start, end))
        chosen.append(row)
    return chosen
