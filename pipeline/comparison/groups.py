"""Runs that differ only by what should not matter, taken together: mean and deviation over seeds and splits."""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.comparison.runs import Run
from pipeline.differences import is_among

# Over these means are taken.
REPEATED = ("seed", "dataset.zero_shot.split_id", "dataset.zero_shot.seed")


@dataclass(frozen=True)
class Spread:
    """A score over runs: their mean, their sample deviation (NaN of one run), and how many have it."""

    mean: float
    deviation: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        deviation = statistics.stdev(values) if len(values) > 1 else math.nan
        return cls(statistics.fmean(values), deviation, len(values))


@dataclass(frozen=True)
class Group:
    """A row of the comparison.

    Attributes:
        settings: of the keys in which the groups differ, the values of this one.
        runs: the runs that have them.
        scores: name -> its spread over these runs.
    """

    settings: Mapping[str, Any]
    runs: Sequence[Run]
    scores: Mapping[str, Spread]

    @property
    def name(self) -> str:
        """The settings in a line; `all` where there is nothing to tell apart."""
        return " ".join(f"{key}={in_words(value)}" for key, value in self.settings.items()) or "all"


@dataclass(frozen=True)
class Comparison:
    """Groups in the order of their first runs, the scores that they share, and where these come from."""

    groups: Sequence[Group]
    scores: Sequence[str]
    source: Literal["predictions", "validation", "losses"]


def compare(runs: Sequence[Run], ignored: Sequence[str]) -> Comparison:
    """Group runs by the settings that differ between them, but for those in `ignored` and `REPEATED`.

    Scores are those of predictions where all runs have such, else those of validation where all have such, else the
    last loss.
    """
    hidden = {*ignored, *REPEATED}
    keys = sorted({key for run in runs for key in run.settings if not is_among(key, hidden)})
    differing = [key for key in keys if len({_frozen(run.settings.get(key)) for run in runs}) > 1]
    members: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in runs:
        members[tuple(_frozen(run.settings.get(key)) for key in differing)].append(run)
    source: Literal["predictions", "validation", "losses"] = "losses"
    if all(run.scored for run in runs):
        source = "predictions"
    elif all(run.validated for run in runs):
        source = "validation"
    names = dict.fromkeys(name for run in runs for name in _scores(run, source))
    groups = [
        Group({key: together[0].settings.get(key) for key in differing}, together, _spreads(together, source))
        for together in members.values()
    ]
    return Comparison(groups, list(names), source)


def in_words(value: Any) -> str:
    """A setting as the command line takes it."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(in_words, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _frozen(value: Any) -> str:
    return repr(value)


def _scores(run: Run, source: str) -> Mapping[str, float]:
    if source == "losses":
        return {"loss": run.epochs[-1]["total"]}
    return run.scored if source == "predictions" else run.validated


def _spreads(runs: Sequence[Run], source: str) -> dict[str, Spread]:
    values = defaultdict(list)
    for run in runs:
        for name, score in _scores(run, source).items():
            values[name].append(score)
    return {name: Spread.of(found) for name, found in values.items()}
