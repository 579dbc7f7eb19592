"""From which score on segments are shown to people, and whence that number comes."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class ScoreThreshold:
    """Segments with a score of `value` or more are shown; `origin` says in a few words why it is that one."""

    value: float
    origin: str

    def __str__(self) -> str:
        return f"a score of {self.value:.3g} or more ({self.origin})"


def score_threshold(min_score: float | None, segments: pa.Table) -> ScoreThreshold:
    """`min_score` where it is given; else where the scores of `segments` divide best (`dividing_score`)."""
    if min_score is not None:
        return ScoreThreshold(min_score, "min_score")
    return ScoreThreshold(dividing_score(segments["score"].to_numpy()), "where the scores divide best")


def dividing_score(scores: np.ndarray) -> float:
    """The lowest score of the upper group where `scores [N]` fall into two groups whose means differ most for their
    sizes, which is Otsu's rule (1979): it follows a detector whose scores are all low, or all high, and videos without
    any clear action keep few segments or none.

    Equal scores are never divided. Scores that are all the same are one group, and without any the threshold is 0.
    """
    if not len(scores):
        return 0.0
    falling = np.sort(scores)[::-1].astype(np.float64)
    upper = np.flatnonzero(np.diff(falling)) + 1  # possible sizes of the upper group
    if not len(upper):
        return float(falling[-1])
    sums = np.cumsum(falling)
    lower = len(falling) - upper
    gap = sums[upper - 1] / upper - (sums[-1] - sums[upper - 1]) / lower
    return float(falling[upper[np.argmax(upper * lower * gap**2)] - 1])
