"""Runs to be compared: their settings, their scores and their curves, from what lies in their folders."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline import storage
from pipeline.differences import flat
from pipeline.errors import InputError
from pipeline.evaluation.flat_scores import flat_scores
from pipeline.records import DamagedRecordError, parse_record

logger = logging.getLogger(__name__)

_CONFIG, _LINES, _SCORED = "config.json", "epochs.jsonl", "predictions/metrics.json"
_VALIDATED = "det_map"


@dataclass(frozen=True)
class Run:
    """A run as far as a comparison looks at it.

    Attributes:
        url: its folder.
        settings: dotted key -> value.
        epochs: figures of each epoch that is done.
        scored: scores of its predictions, under dotted names; empty where evaluate has written none.
        validated: scores of its validation, under the same names; empty where it has none.
        without_classes: whether `scored` left classes out.
        changed: the settings in which `scored` departs from the dataset's protocol.
    """

    url: str
    settings: Mapping[str, Any]
    epochs: Sequence[Mapping[str, float]]
    scored: Mapping[str, float]
    validated: Mapping[str, float]
    without_classes: bool = False
    changed: Sequence[str] = ()


def find_runs(urls: Sequence[str]) -> list[str]:
    """The folders of runs that these URLs name: themselves, what a glob matches, or the runs in a folder; each once.

    Raises InputError where one names none.
    """
    found: dict[str, None] = {}
    for url in urls:
        folders = _matches(url)
        if not folders:
            raise InputError(
                f"runs={url}: no run there ({_CONFIG} is missing, and in the folders in it, too)"
            )
        found |= dict.fromkeys(folders)
    return list(found)


def _matches(url: str) -> list[str]:
    if storage.exists(storage.join(url, _CONFIG)):
        return [url.rstrip("/")]
    if set(url) & set("*?["):
        files = storage.glob_files(storage.join(url, _CONFIG))
    else:
        files = [file for file in storage.list_files(url, depth=2) if file.url.endswith(f"/{_CONFIG}")]
    return sorted(storage.parent(file.url) for file in files)


def read_run(url: str, epoch: Literal["last", "best"]) -> Run | None:
    """What a folder says of its run; None, with a line, where no epoch is done yet.

    Raises InputError that names a damaged file.
    """
    config = storage.join(url, _CONFIG)
    settings = parse_record(storage.read_bytes(config), config, dict[str, Any], "a run's settings")
    epochs = _epochs(url)
    if not epochs:
        logger.warning("%s: has no epoch that is done, and is left out", url)
        return None
    metrics: dict[str, Any] = {}
    name = storage.join(url, _SCORED)
    if storage.exists(name):
        metrics = parse_record(storage.read_bytes(name), name, dict[str, Any], "evaluate's metrics")
    return Run(
        url,
        flat(settings),
        epochs,
        flat_scores(metrics),
        _validated(epochs, epoch),
        without_classes=bool(metrics.get("class_agnostic")),
        changed=metrics.get("protocol_changed", ()),
    )


def _epochs(url: str) -> list[dict[str, float]]:
    """The figures of the epochs; those of an earlier version's run from its metrics.json."""
    name, metrics = storage.join(url, _LINES), storage.join(url, "metrics.json")
    if storage.exists(name):
        lines = storage.read_bytes(name).decode(errors="replace").splitlines()
        try:
            return [dict(json.loads(line)) for line in lines]
        except ValueError as error:
            raise DamagedRecordError(f"{name}: damaged, not a JSON object a line ({error})") from None
    if storage.exists(metrics):
        return list(
            parse_record(storage.read_bytes(metrics), metrics, dict[str, Any], "a run's metrics")["history"]
        )
    return []


def _validated(epochs: Sequence[Mapping[str, float]], which: Literal["last", "best"]) -> dict[str, float]:
    rows = [row for row in epochs if _VALIDATED in row]
    if not rows:
        return {}
    row = rows[-1] if which == "last" else max(rows, key=lambda row: row[_VALIDATED])
    scores = {
        f"{_VALIDATED}.{name.removeprefix(f'{_VALIDATED}_')}": value
        for name, value in row.items()
        if name.startswith(f"{_VALIDATED}_")
    }
    return scores | {f"{_VALIDATED}.average": row[_VALIDATED]}
