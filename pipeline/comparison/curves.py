"""Curves of compared runs over their epochs: the mean of each group, and a band of one deviation."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.comparison.groups import Comparison, Group
from pipeline.report.style import DPI, GREY, INK, PALETTE, plain

_PANEL = (6.4, 3.6)  # inches
_NAME_CHARACTERS = 60


def curves_figure(comparison: Comparison) -> Figure:
    """A panel of the loss, and one of det-mAP in validation where there was any."""
    groups = comparison.groups
    panels = [("total", "loss", 1.0)]
    if any("det_map" in row for group in groups for run in group.runs for row in run.epochs):
        panels.append(("det_map", "det-mAP in validation, %", 100.0))
    width, height = _PANEL
    figure = Figure(figsize=(width * len(panels), height), dpi=DPI, layout="constrained")
    for index, (name, label, scale) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        _draw(axes, groups, name, scale)
        axes.set_title(label, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("epoch", fontsize=9, color=GREY)
        plain(axes)
    if len(groups) > 1:
        figure.legend(loc="outside lower left", fontsize=8, frameon=False, ncols=2)
    return figure


def _draw(axes: Axes, groups: Sequence[Group], name: str, scale: float) -> None:
    first = name == "total"
    for number, group in enumerate(groups):
        epochs, mean, deviation = curve(group, name)
        colour = PALETTE[number % len(PALETTE)]
        style = ("-", "--", ":")[number // len(PALETTE) % 3]
        text = (
            group.name if len(group.name) <= _NAME_CHARACTERS else f"{group.name[: _NAME_CHARACTERS - 3]}..."
        )
        axes.plot(
            epochs, scale * mean, color=colour, linestyle=style, marker="." if len(epochs) < 15 else "",
            label=text if first else None,
        )  # fmt: skip
        axes.fill_between(
            epochs,
            scale * (mean - deviation),
            scale * (mean + deviation),
            color=colour,
            alpha=0.15,
            linewidth=0,
        )


def curve(group: Group, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Epochs in which all runs of a group have a figure, its mean and sample deviation (0 of one run), `[E]` each."""
    rows = [{int(row["epoch"]): row[name] for row in run.epochs if name in row} for run in group.runs]
    epochs = sorted(set.intersection(*(set(row) for row in rows)))
    values = np.array([[row[epoch] for epoch in epochs] for row in rows])
    deviation = values.std(axis=0, ddof=1) if len(rows) > 1 else np.zeros(len(epochs))
    return np.array(epochs), values.mean(axis=0), deviation
