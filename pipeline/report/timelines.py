"""One picture of what was found: the true and the predicted segments of some videos, lane by lane."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from pipeline.annotations.canonical import Annotations
from pipeline.report.style import DPI, GREY, INK, PALETTE, STRIPE, plain
from pipeline.segments.check import check_segments
from pipeline.segments.threshold import ScoreThreshold

# A hatch sets each further round of colours apart, and a lane carries the name of its class anyway.
_HATCHES = ("", "////", "....", "xxxx", "||||")
_COLUMNS = 2
# Inches.
_WIDTH, _PAD = 13.0, 0.1
_TITLE_HEIGHT, _LEGEND_LINE_HEIGHT, _PANEL_MARGIN, _LANE_HEIGHT = 0.75, 0.2, 0.7, 0.36
_SWATCH_WIDTH, _LETTER_WIDTH = 0.65, 0.075


@dataclass(frozen=True)
class _Lane:
    """One class in one video: `true [N, 2]` and `predicted [M, 2]` in seconds, `scores [M]` rising."""

    label: str
    true: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class _Panel:
    """One video, `duration` in seconds, with a lane for each class that occurs or was predicted."""

    video_id: str
    duration: float
    lanes: list[_Lane]


@dataclass(frozen=True)
class _Style:
    colour: str
    hatch: str


def timelines_figure(
    predictions: pa.Table,
    annotations: Annotations,
    threshold: ScoreThreshold,
    *,
    max_videos: int = 8,
    with_truth: bool = True,
) -> Figure:
    """True and predicted segments of the first `max_videos` videos of the annotations, over seconds.

    A video is one panel, a class that occurs in it one lane: true segments above, predicted ones below, as
    opaque as their score is high.

    Args:
        predictions: table with the columns of `SEGMENTS_SCHEMA`; unknown labels are left out.
        annotations: the truth, usually of one subset; without truth, `predicted_videos` of the predictions.
        threshold: predictions with a lower score are left out; the picture says so, and whence it comes.
        max_videos: at most this many panels.
        with_truth: whether the annotations are the truth; else predicted segments are drawn alone.
    Raises:
        InputError: a column of `predictions` is missing or unusable.
    """
    table = check_segments(predictions)
    table = table.filter(pc.greater_equal(table["score"], threshold.value)).sort_by("score")
    panels = _panels(table, annotations, max_videos)
    styles = _styles(panels, annotations.labels)

    columns = min(_COLUMNS, max(len(panels), 1))
    rows = [panels[first : first + columns] for first in range(0, len(panels), columns)]
    lanes = [max(1, *(len(panel.lanes) for panel in row)) for row in rows]
    heights = [_PANEL_MARGIN + _LANE_HEIGHT * count for count in lanes] or [_PANEL_MARGIN]
    legend_columns = int(_WIDTH / (_SWATCH_WIDTH + _LETTER_WIDTH * max(map(len, styles), default=0))) or 1
    header_height = _TITLE_HEIGHT + _LEGEND_LINE_HEIGHT * -(-len(styles) // legend_columns)

    figure = Figure(
        figsize=(_WIDTH, header_height + sum(heights)),
        dpi=DPI,
        layout=ConstrainedLayoutEngine(w_pad=_PAD, h_pad=0.06),
    )
    halves = figure.add_gridspec(2, 1, height_ratios=[header_height, sum(heights)])
    count, of_all = len(panels), annotations.videos.num_rows
    shown = f"{count} of {of_all} videos" if count < of_all else f"{count} videos"
    summary = f"{shown}; predictions with {threshold}"
    header = figure.add_subfigure(halves[0])
    _draw_header(header, header_height, summary, styles, legend_columns, with_truth)
    body = figure.add_subfigure(halves[1])
    grid = body.add_gridspec(len(heights), columns, height_ratios=heights)
    for row, (row_of_panels, num_lanes) in enumerate(zip(rows, lanes, strict=True)):
        for column, panel in enumerate(row_of_panels):
            _draw_panel(body.add_subplot(grid[row, column]), panel, num_lanes, styles, with_truth)
    return figure


def _panels(table: pa.Table, annotations: Annotations, max_videos: int) -> list[_Panel]:
    truth = annotations.by_video()
    panels = []
    for video in annotations.videos.slice(0, max_videos).to_pylist():
        true = truth[video["video_id"]]
        mine = table.filter(pc.equal(table["video_id"], video["video_id"]))
        predicted = np.stack([mine["t_start"].to_numpy(), mine["t_end"].to_numpy()], axis=1)
        predicted_labels = np.array(mine["label"].to_pylist(), dtype=object)
        lanes = [
            _Lane(
                label,
                true.segments[true.labels == label],
                predicted[predicted_labels == label],
                mine["score"].to_numpy()[predicted_labels == label],
            )
            for label in annotations.labels
            if label in true.labels or label in predicted_labels
        ]
        duration = video["duration"] or max([1.0, *true.segments[:, 1], *predicted[:, 1]])
        panels.append(_Panel(video["video_id"], duration, lanes))
    return panels


def _styles(panels: list[_Panel], labels: tuple[str, ...]) -> dict[str, _Style]:
    """A colour and hatch for each label that has a lane, in the order of `labels`."""
    shown = {lane.label for panel in panels for lane in panel.lanes}
    styles = {}
    for index, label in enumerate(label for label in labels if label in shown):
        turn, place = divmod(index, len(PALETTE))
        styles[label] = _Style(PALETTE[place], _HATCHES[turn % len(_HATCHES)])
    return styles


def _draw_header(
    header: SubFigure,
    height: float,
    summary: str,
    styles: dict[str, _Style],
    legend_columns: int,
    with_truth: bool,
) -> None:
    """Title and the key to the bars in one line, what is shown below it, then the legend of classes."""
    left, top = _PAD / _WIDTH, 1 - _PAD / height
    title, kind = ("True and predicted actions", "below: ") if with_truth else ("Predicted actions", "")
    header.text(left, top, title, size=14, weight="bold", color=INK, va="top")
    header.text(left, top - 0.3 / height, summary, size=9.5, color=GREY, va="top")
    key = [Patch(facecolor=GREY, edgecolor=INK, label="above: true")] * with_truth + [
        Patch(facecolor=_shade(GREY, score), edgecolor=_outline(GREY), label=label)
        for score, label in ((0.3, f"{kind}predicted, score 0.3"), (0.6, "0.6"), (0.9, "0.9"))
    ]
    classes = [
        Patch(facecolor=style.colour, hatch=style.hatch, edgecolor=INK, label=label)
        for label, style in styles.items()
    ]
    look: dict[str, Any] = {
        "frameon": False,
        "fontsize": 9,
        "borderaxespad": 0,
        "borderpad": 0,
        "handlelength": 1.6,
    }
    header.legend(handles=key, loc="upper right", bbox_to_anchor=(1 - left, top), ncols=len(key), **look)
    below = (left, 1 - 0.65 / height)
    header.legend(handles=classes, loc="upper left", bbox_to_anchor=below, ncols=legend_columns, **look)


def _draw_panel(
    axes: Axes, panel: _Panel, num_lanes: int, styles: dict[str, _Style], with_truth: bool
) -> None:
    """One video in an axes with room for `num_lanes`, so that lanes are equally high in all panels."""
    below = 0.21 if with_truth else 0.0
    for index, lane in enumerate(panel.lanes):
        if index % 2 == 0:
            axes.axhspan(index - 0.5, index + 0.5, color=STRIPE, linewidth=0, zorder=0)
        style = styles[lane.label]
        _draw_bars(axes, index - 0.21, lane.true, np.ones(len(lane.true)), style, "true")
        _draw_bars(axes, index + below, lane.predicted, lane.scores, style, "predicted")
    if not panel.lanes:
        axes.text(0.5, 0.5, "no action", transform=axes.transAxes, ha="center", va="center", color=GREY)
    axes.set_title(panel.video_id, loc="left", fontsize=10, fontweight="bold", color=INK)
    axes.set_xlim(-0.004 * panel.duration, 1.004 * panel.duration)
    axes.set_ylim(num_lanes - 0.5, -0.5)
    axes.set_yticks(range(len(panel.lanes)), [lane.label for lane in panel.lanes])
    axes.locator_params(axis="x", nbins=7)
    axes.xaxis.set_major_formatter("{x:g} s")
    plain(axes, grid="x")
    axes.tick_params(axis="y", labelcolor=INK)


def _draw_bars(
    axes: Axes, centre: float, segments: np.ndarray, scores: np.ndarray, style: _Style, kind: str
) -> None:
    """Bars of one lane, the last on top: opaque, so that overlapping ones do not add up to a higher score."""
    has_length = segments[:, 1] > segments[:, 0]
    segments, scores = segments[has_length], scores[has_length]
    axes.barh(
        np.full(len(segments), centre),
        segments[:, 1] - segments[:, 0],
        left=segments[:, 0],
        height=0.36,
        color=[_shade(style.colour, score) for score in scores],
        edgecolor=INK if kind == "true" else _outline(style.colour),
        linewidth=0.8,
        hatch=style.hatch,
        label=kind,
    )


def _shade(colour: str, score: float) -> tuple[float, float, float]:
    """The colour as it looks on white at an opacity of `score`."""
    opacity = min(max(score, 0.0), 1.0)
    red, green, blue = (1 - opacity * (1 - channel) for channel in to_rgb(colour))
    return red, green, blue


def _outline(colour: str) -> tuple[float, float, float]:
    """A darker tone of the colour, which keeps the faintest bar visible."""
    red, green, blue = (0.7 * channel for channel in to_rgb(colour))
    return red, green, blue
