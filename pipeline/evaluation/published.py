"""Published scores (`published.csv`), each of a dataset, a protocol and a kind, to stand beside one's own of the same.

A class-agnostic score of proposals, a class-labelled zero-shot one and a supervised one are different things, though
all three are called mAP: rows of one kind are never shown beside another.
"""

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from statistics import fmean
from typing import Literal, get_args

from rich.table import Table
from rich.text import Text

from pipeline.annotations.settings import DatasetConfig
from pipeline.evaluation.result import Evaluation

logger = logging.getLogger(__name__)

Kind = Literal["detection", "segmentation", "class-agnostic", "zero-shot"]
# Far more than rounding: of scores with one digit behind the point, and with two.
_ROUNDING = {1: 0.06, 2: 0.02}


@dataclass(frozen=True)
class PublishedScore:
    """A row of somebody's table, as it stands there.

    Attributes:
        source, table: where it is published; a table of a paper, or none.
        system: what was scored.
        dataset: its name among the presets.
        split: of zero-shot splits the part of seen classes in percent; else empty.
        kind: what is scored: classes seen in training, frames, proposals without classes, or classes never seen.
        features: that it was trained on.
        at: tIoU threshold -> mAP in percent.
        average: the mAP in percent that is quoted.
        over: the thresholds that `average` is over, as start:step:end.
        flag: what does not add up: "average" where it is not that of the cells, "cells".
        note: remarks.
    """

    source: str
    table: str
    system: str
    dataset: str
    split: str
    kind: Kind
    features: str
    at: dict[float, float]
    average: float
    over: str
    flag: tuple[str, ...]
    note: str

    @property
    def adds_up(self) -> bool:
        """Whether `average` is that of the cells, up to rounding; true where not all of them are given."""
        if not self.over or list(self.at) != list(thresholds_of(self.over)):
            return True
        rough = all(round(value, 1) == value for value in self.at.values())
        return abs(fmean(self.at.values()) - self.average) <= _ROUNDING[1 if rough else 2]


def thresholds_of(over: str) -> tuple[float, ...]:
    """`0.3:0.1:0.7` to its thresholds."""
    start, step, end = map(float, over.split(":"))
    return tuple(round(start + step * index, 4) for index in range(round((end - start) / step) + 1))


@cache
def published_scores() -> tuple[PublishedScore, ...]:
    """All rows, in the order of the file."""
    text = files("pipeline.evaluation").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(_read(row) for row in csv.DictReader(text.splitlines()))


def _read(row: dict[str, str]) -> PublishedScore:
    kind = row["kind"]
    assert kind in get_args(Kind), kind
    thresholds, scores = (list(map(float, row[name].split())) for name in ("thresholds", "scores"))
    return PublishedScore(
        row["source"], row["table"], row["system"], row["dataset"], row["split"], kind,  # type: ignore[arg-type]
        row["features"], dict(zip(thresholds, scores, strict=True)), float(row["average"]), row["over"],
        tuple(row["flag"].split()), row["note"],
    )  # fmt: skip


def kind_of(dataset: DatasetConfig, class_agnostic: bool) -> Kind:
    """What det-mAP on a dataset means."""
    if class_agnostic:
        return "class-agnostic"
    return "zero-shot" if dataset.zero_shot.active else "detection"


def split_of(lists: str | None) -> str:
    """`thumos14_50`, the lists of zero-shot splits, to the part of seen classes; empty without published lists."""
    return (lists or "").rpartition("_")[2]


def published_beside(
    dataset: str, split: str, kind: Kind, thresholds: Sequence[float] | None
) -> list[PublishedScore]:
    """The rows of this dataset, split and kind whose average is over these thresholds; best last, as in papers."""
    rows = [
        row
        for row in published_scores()
        if (row.dataset, row.split, row.kind) == (dataset, split, kind)
        and (thresholds is None or thresholds_of(row.over) == tuple(round(t, 4) for t in thresholds))
    ]
    return sorted(rows, key=lambda row: row.average)


def published_table(
    rows: Sequence[PublishedScore], own: Sequence[tuple[str, dict[float, float], float]], title: str
) -> Table:
    """Published rows and below them one's own, in percent.

    Args:
        rows: of one dataset, split and kind.
        own: name, tIoU threshold -> mAP in [0, 1], and average.
        title: what the scores are.
    """
    thresholds = sorted({at for row in rows for at in row.at})
    table = Table(
        title=Text(title),
        caption=Text("* is not the average of its cells, or a cell cannot be right; it stands as published"),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("system")
    table.add_column("published by")
    for threshold in thresholds:
        table.add_column(f"{threshold:g}", justify="right")
    table.add_column("average", justify="right", style="bold")
    table.add_column("features")
    for row in rows:
        where = f"{row.source}, Table {row.table}" if row.table else row.source
        cells = ["–" if at not in row.at else f"{row.at[at]:g}" for at in thresholds]
        average = f"{row.average:g}{'*' if row.flag else ''}"
        table.add_row(Text(row.system), Text(where), *cells, average, Text(row.features))
    table.add_section()
    for name, at, mean in own:
        known = {round(threshold, 4): score for threshold, score in at.items()}
        cells = ["–" if t not in known else f"{100 * known[t]:.2f}" for t in thresholds]
        table.add_row(Text(name), "", *cells, f"{100 * mean:.2f}", "", style="bold")
    return table


def tables_beside(result: Evaluation, dataset: DatasetConfig) -> list[Table]:
    """Published scores and those of an evaluation, det-mAP and seg-mAP apart; a line says where there are none.

    There are none beside an evaluation that departs from the dataset's protocol.
    """
    kind, split = kind_of(dataset, result.class_agnostic), split_of(dataset.zero_shot.lists)
    detection = result.detection
    if result.changed or result.protocol != dataset.name:
        logger.warning("published=true: only beside the protocol of the dataset as it is published")
        return []
    tables = []
    if "det_map" in result.metrics:
        scores = dict(zip(detection.protocol.thresholds, detection.map_per_threshold.tolist(), strict=True))
        rows = published_beside(dataset.name, split, kind, detection.protocol.thresholds)
        tables += _titled(rows, scores, detection.average, dataset.name, split, kind)
    if result.segmentation is not None:
        rows = published_beside(dataset.name, split, "segmentation", None)
        tables += _titled(rows, {}, result.segmentation.mean, dataset.name, split, "segmentation")
    if not tables:
        logger.warning("published=true: no published %s score of %s is known", kind, dataset.name)
    return tables


def _titled(
    rows: Sequence[PublishedScore],
    at: dict[float, float],
    average: float,
    dataset: str,
    split: str,
    kind: Kind,
) -> list[Table]:
    own = [("this evaluation", at, average)]
    return [published_table(rows, own, title_of(dataset, split, kind))] if rows else []


def title_of(dataset: str, split: str, kind: Kind) -> str:
    """What published rows are scores of, in words."""
    words = {"detection": "detection mAP", "segmentation": "segmentation mAP"}
    metric = words.get(kind, f"{kind} detection mAP")
    of_splits = f", {split} % of the classes seen, mean of ten splits" if split else ""
    return f"Published {metric} (%) on {dataset}{of_splits}"
