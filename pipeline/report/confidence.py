"""Whether proposals are as good as they are sure: confidence against tIoU (TP2-DETR, Figure 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pipeline.annotations.canonical import Annotations
from pipeline.evaluation.indexed import index_segments
from pipeline.evaluation.matching import TrueSegments, overlapping_pairs
from pipeline.report.style import BLUE, DPI, GREY, INK, plain

_SIDE = 4.6  # inches of a panel


@dataclass(frozen=True)
class ProposalQuality:
    """The proposals of one run: its name, their `scores [N]` and the best tIoU of each, `tious [N]`."""

    name: str
    scores: np.ndarray
    tious: np.ndarray


def confidence_figure(runs: Sequence[ProposalQuality]) -> Figure:
    """A panel for each run, a point for each proposal; good ones that are sure lie at the upper right."""
    figure = Figure(
        figsize=(_SIDE * max(len(runs), 1), _SIDE),
        dpi=DPI,
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1),
    )
    for index, run in enumerate(runs):
        _draw_panel(figure.add_subplot(1, len(runs), index + 1), run)
    return figure


def proposal_quality(name: str, predictions: pa.Table, annotations: Annotations) -> ProposalQuality:
    """The predictions in videos of the truth, each with its best tIoU with an instance of its own label.

    Args:
        name: what the run is called.
        predictions: table of `SEGMENTS_SCHEMA`; videos and labels that the truth lacks are left out.
        annotations: the truth.
    """
    truth = index_segments(annotations.instances, annotations)
    found = index_segments(predictions, annotations)
    found = found[(found.videos >= 0) & (found.labels >= 0)]
    count = len(annotations.labels)
    best = np.zeros(len(found))
    for rows, _, tiou in overlapping_pairs(
        found.seconds,
        found.videos * count + found.labels,
        TrueSegments.grouped(truth.seconds, truth.videos * count + truth.labels),
        lowest=np.finfo(float).tiny,
        union_epsilon=0.0,
    ):
        np.maximum.at(best, rows, tiou)
    return ProposalQuality(name, found.scores, best)


def _draw_panel(axes: Axes, run: ProposalQuality) -> None:
    # Fainter the more there are, so that density shows; no point vanishes.
    opacity = float(np.clip(200 / max(len(run.scores), 1), 0.05, 0.6))
    axes.scatter(run.scores, run.tious, s=8, color=BLUE, alpha=opacity, linewidths=0)
    axes.set_title(f"{run.name}, {len(run.scores)} proposals", loc="left", fontsize=10, color=INK)
    axes.set_xlabel("confidence", fontsize=9, color=GREY)
    axes.set_ylabel("best tIoU with the truth", fontsize=9, color=GREY)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    plain(axes)
