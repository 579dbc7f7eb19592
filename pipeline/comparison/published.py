"""Published scores beside runs that are compared: of the dataset, split and kind that all of them are scored on."""

import logging

from rich.table import Table

from pipeline.comparison.groups import Comparison
from pipeline.comparison.runs import Run
from pipeline.evaluation.protocols import PROTOCOLS, protocol_name
from pipeline.evaluation.published import Kind, published_beside, published_table, split_of, title_of

logger = logging.getLogger(__name__)

_AT = "det_map."


def published_beside_runs(comparison: Comparison) -> Table | None:
    """The published det-mAP of what the runs were scored on, and theirs; None, with a line, where there is none."""
    runs = [run for group in comparison.groups for run in group.runs]
    scored_on = {_scored_on(run, comparison.source) for run in runs}
    if len(scored_on) > 1 or comparison.source == "losses" or any(run.changed for run in runs):
        logger.warning("published=true: the runs have no scores of one dataset, protocol and kind")
        return None
    dataset, split, kind = scored_on.pop()
    thresholds = PROTOCOLS[protocol_name(dataset)].detection.thresholds
    rows = published_beside(dataset, split, kind, thresholds)
    if not rows:
        logger.warning("published=true: no published %s score of %s is known", kind, dataset)
        return None
    own = []
    for group in comparison.groups:
        means = {name: spread.mean for name, spread in group.scores.items() if name.startswith(_AT)}
        average = means.pop(f"{_AT}average", None)
        if average is not None:
            own.append((group.name, {float(name.removeprefix(_AT)): m for name, m in means.items()}, average))
    return published_table(rows, own, title_of(dataset, split, kind))


def _scored_on(run: Run, source: str) -> tuple[str, str, Kind]:
    """The dataset, split and kind of a run's scores."""
    lists = run.settings.get("dataset.zero_shot.lists")
    zero_shot = lists is not None or run.settings.get("dataset.zero_shot.seen_fraction") is not None
    without = (
        run.without_classes if source == "predictions" else bool(run.settings.get("class_agnostic", False))
    )
    kind: Kind = "class-agnostic" if without else "zero-shot" if zero_shot else "detection"
    return str(run.settings.get("dataset.name", "")), split_of(lists), kind
