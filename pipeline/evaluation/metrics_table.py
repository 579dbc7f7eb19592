"""The scores of an evaluation as tables on the screen, in percent."""

from collections.abc import Iterable

import numpy as np
from rich.table import Table
from rich.text import Text

from pipeline.evaluation.best_f1 import TIOU, OperatingPoint
from pipeline.evaluation.result import Evaluation

_MOST_CLASSES = 30  # beyond which only the best and the worst are shown
_BEST_AND_WORST = 10


def metrics_tables(result: Evaluation) -> list[Table]:
    """AP by class, best F1, AR@AN and recall by length: a table each, of those that were asked for."""
    tables = []
    if "det_map" in result.metrics or result.segmentation is not None:
        tables.append(_class_table(result))
    if result.operating_point is not None:
        tables.append(_best_f1_table(result, result.operating_point))
    if result.recall is not None:
        tables.append(_recall_table(result))
    if result.by_length is not None:
        tables.append(_length_table(result))
    return tables


def _class_table(result: Evaluation) -> Table:
    """A row a class in the order of the labels, or by falling AP where they are many; then the mean."""
    table = _table(f"AP (%) by class, {_protocol(result)}", _caption(result))
    table.add_column("class", no_wrap=True)
    table.add_column("truths", justify="right")
    if "det_map" in result.metrics:
        for threshold in result.detection.protocol.thresholds:
            table.add_column(f"{threshold:g}", justify="right")
        table.add_column("det-AP", justify="right", style="bold")
    if result.segmentation is not None:
        table.add_column("seg-AP", justify="right", style="bold")

    for group in _shown_classes(result):
        for label in group:
            table.add_row(
                Text(label), f"{result.detection.truths_per_class[label]:,}", *_of_class(result, label)
            )
        table.add_section()
    table.add_row("mean (mAP)", f"{result.num_truths:,}", *_of_all(result), style="bold")
    return table


def _best_f1_table(result: Evaluation, point: OperatingPoint) -> Table:
    """One row: the score from which on predictions are kept, as it is typed, and what that gives."""
    table = _table(
        f"Best F1 (%) over all classes at tIoU {TIOU:g}, {_protocol(result)}",
        None if point.threshold is not None else "no prediction hits a true segment",
    )
    for name in ("score from", "precision", "recall", "F1"):
        table.add_column(name, justify="right", style="bold" if name == "F1" else None)
    threshold = "–" if point.threshold is None else f"{point.threshold:.4g}"
    table.add_row(threshold, *_percentages((point.precision, point.recall, point.f1)))
    return table


def _recall_table(result: Evaluation) -> Table:
    assert result.recall is not None
    quoted = result.quoted_recall()
    table = _table(
        f"AR (%) at AN proposals, {_protocol(result)}",
        f"{result.recall.num_videos:,} videos with truth; tIoU {_span(result.recall.protocol.thresholds)}",
    )
    for name in (*(f"AR@{an}" for an in quoted), "AUC"):
        table.add_column(name, justify="right", style="bold" if name == "AUC" else None)
    table.add_row(*_percentages((*quoted.values(), result.recall.auc)))
    return table


def _length_table(result: Evaluation) -> Table:
    assert result.by_length is not None
    table = _table(f"Recall (%) by action length and tIoU, {_protocol(result)}", None)
    table.add_column("length", no_wrap=True)
    table.add_column("truths", justify="right")
    for threshold in result.detection.protocol.thresholds:
        table.add_column(f"{threshold:g}", justify="right")
    table.add_column("average", justify="right", style="bold")
    for name, count, recall in zip(
        result.by_length.names, result.by_length.counts, result.by_length.recall, strict=True
    ):
        table.add_row(name, f"{count:,}", *(_percentages((*recall, recall.mean())) if count else ()))
    return table


def _table(title: str, caption: str | None) -> Table:
    return Table(title=title, caption=caption, title_justify="left", caption_justify="left")


def _shown_classes(result: Evaluation) -> list[list[str]]:
    labels = list(result.detection.per_class)
    if result.class_agnostic:
        return []
    if len(labels) <= _MOST_CLASSES:
        return [labels]
    average = {label: ap.mean() for label, ap in result.detection.per_class.items()}
    if "det_map" not in result.metrics and result.segmentation is not None:
        average = dict(result.segmentation.per_class)
    best_first = sorted(labels, key=lambda label: -average[label])
    return [best_first[:_BEST_AND_WORST], best_first[-_BEST_AND_WORST:]]


def _of_class(result: Evaluation, label: str) -> list[str]:
    cells = []
    if "det_map" in result.metrics:
        ap = result.detection.per_class[label]
        cells += _percentages((*ap, ap.mean()))
    if result.segmentation is not None:
        cells += _percentages([result.segmentation.per_class[label]])
    return cells


def _of_all(result: Evaluation) -> list[str]:
    cells = []
    if "det_map" in result.metrics:
        cells += _percentages((*result.detection.map_per_threshold, result.detection.average))
    if result.segmentation is not None:
        cells += _percentages([result.segmentation.mean])
    return cells


def _percentages(values: Iterable[float]) -> list[str]:
    return [f"{100 * value:.2f}" for value in np.asarray(list(values))]


def _protocol(result: Evaluation) -> str:
    changed = f" (changed: {', '.join(result.changed)})" if result.changed else ""
    return f"protocol {result.protocol}{changed}{', without classes' if result.class_agnostic else ''}"


def _caption(result: Evaluation) -> str:
    shown, classes = "", len(result.detection.per_class)
    if classes > _MOST_CLASSES:
        shown = f"the {_BEST_AND_WORST} best and {_BEST_AND_WORST} worst of {classes} classes; "
    caption = f"{shown}{result.detection.num_predictions:,} predictions in {result.num_videos:,} videos"
    ignored = {
        "in other videos": result.detection.ignored_video,
        "of unknown classes": result.detection.ignored_label,
    }
    left_out = " and ".join(f"{count:,} {why}" for why, count in ignored.items() if count)
    return f"{caption}; left out {left_out}" if left_out else caption


def _span(thresholds: tuple[float, ...]) -> str:
    return f"{thresholds[0]:g} to {thresholds[-1]:g} ({len(thresholds)})"
