"""The scores in a `metrics.json`, flat, so that they can be averaged and compared."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

# What a metrics.json holds besides counts, settings and single classes, which differ from split to split.
_SCORES = {"det_map", "seg_map", "ar_at_an", "auc", "recall_by_length"}
_HEADINGS = {"det_map.average": "mAP", "seg_map.average": "seg-mAP", "auc": "AUC"}


def flat_scores(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The scores in a metrics.json that mean the same in every split, under dotted names.

    Counts, settings, the scores of single classes and bins without truth are left out.
    """
    flat: dict[str, float] = {}
    for key, value in metrics.items():
        if value is None or (prefix == "" and key not in _SCORES):
            continue
        if isinstance(value, Mapping):
            flat |= flat_scores(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def mean_scores(flat: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each score over the splits that have it."""
    values = defaultdict(list)
    for found in flat:
        for name, score in found.items():
            values[name].append(score)
    return {name: sum(scores) / len(scores) for name, scores in values.items()}


def in_tables(name: str) -> bool:
    """Whether papers' tables have a column for this score: mAP at each tIoU, AR at each AN, AUC."""
    return name.startswith(("det_map.", "seg_map.", "ar_at_an.")) or name == "auc"


def heading(name: str) -> str:
    """A score as papers' tables call it: `mAP@0.5`, `AR@10`, `AUC`."""
    short = name.replace("det_map.", "mAP@").replace("seg_map.", "seg-mAP@").replace("ar_at_an.", "AR@")
    return _HEADINGS.get(name, short)
