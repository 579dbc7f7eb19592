"""A comparison in the layout of papers' tables: on the screen, as Markdown and as CSV."""

import csv
import io
import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from pipeline.comparison.groups import Comparison, Spread, in_words
from pipeline.evaluation.flat_scores import heading, in_tables

_TITLES = {
    "predictions": "scores of the predictions (%)",
    "validation": "det-mAP in validation (%)",
    "losses": "loss of the last epoch",
}


def screen_table(comparison: Comparison) -> Table:
    """A row a group, the best of each column in bold."""
    names = columns(comparison)
    table = Table(title=Text(title(comparison)), title_justify="left")
    table.add_column("settings")
    table.add_column("runs", justify="right")
    for name in names:
        table.add_column(Text(heading(name)), justify="right")
    for row, group in enumerate(comparison.groups):
        cells = [
            Text(_cell(group.scores.get(name), comparison), "bold" if row in _best(comparison, name) else "")
            for name in names
        ]
        table.add_row(Text(group.name), Text(str(len(group.runs))), *cells)
    return table


def markdown(comparison: Comparison) -> str:
    """The same as a table of Markdown, a column a setting."""
    keys = list(comparison.groups[0].settings)
    names = columns(comparison)
    head = [*keys, "runs", *map(heading, names)]
    rows = []
    for row, group in enumerate(comparison.groups):
        cells = []
        for name in names:
            text = _cell(group.scores.get(name), comparison)
            cells.append(f"**{text}**" if row in _best(comparison, name) else text)
        rows.append([*(in_words(group.settings[key]) for key in keys), str(len(group.runs)), *cells])
    rule = ["---"] * (len(keys)) + ["---:"] * (len(names) + 1)
    lines = [_line(head), "|".join(["", *rule, ""]), *map(_line, rows)]
    return f"{title(comparison)}\n\n" + "\n".join(lines) + "\n"


def csv_text(comparison: Comparison) -> str:
    """Every score with its mean, deviation and number of runs, as fractions; settings under their keys."""
    keys = list(comparison.groups[0].settings)
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    parts = [f"{name} {part}" for name in comparison.scores for part in ("mean", "deviation", "runs")]
    writer.writerow([*keys, "runs", *parts])
    for group in comparison.groups:
        cells: list[object] = []
        for name in comparison.scores:
            spread = group.scores.get(name)
            deviation = "" if spread is None or math.isnan(spread.deviation) else spread.deviation
            cells += ["", "", 0] if spread is None else [spread.mean, deviation, spread.count]
        settings = [in_words(group.settings[key]) for key in keys]
        writer.writerow([*settings, " ".join(run.url for run in group.runs), *cells])
    return sink.getvalue()


def title(comparison: Comparison) -> str:
    """What the figures are."""
    repeated = any(len(group.runs) > 1 for group in comparison.groups)
    return _TITLES[comparison.source] + (", mean ± deviation over seeds and splits" if repeated else "")


def columns(comparison: Comparison) -> Sequence[str]:
    """The scores that a paper's table has a column for, the average last."""
    if comparison.source == "losses":
        return comparison.scores
    names = [name for name in comparison.scores if in_tables(name)]
    return sorted(names, key=lambda name: (name.split(".")[0], name.endswith(".average")))


def _cell(spread: Spread | None, comparison: Comparison) -> str:
    """`45.12 ± 0.31`: in percent but for losses, without a deviation where one run has none."""
    if spread is None:
        return "–"
    scale, digits = (1, 4) if comparison.source == "losses" else (100, 2)
    text = f"{scale * spread.mean:.{digits}f}"
    return text if math.isnan(spread.deviation) else f"{text} ± {scale * spread.deviation:.{digits}f}"


def _best(comparison: Comparison, name: str) -> set[int]:
    """The rows with the best mean of a column, where there is more than one to compare."""
    means = {row: g.scores[name].mean for row, g in enumerate(comparison.groups) if name in g.scores}
    if len(means) < 2:
        return set()
    best = (min if comparison.source == "losses" else max)(means.values())
    return {row for row, mean in means.items() if mean == best}


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
