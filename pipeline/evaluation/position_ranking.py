"""The positions of one class ranked by score, in bounded memory: what does not fit waits on a local disk."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

# Positions that are held in memory; each takes some thirty bytes while they are sorted.
POSITIONS_HELD = 1 << 23
_PARTS = 64  # on disk, at most, each of the scores between two bounds
_SUMMED = 1 << 20  # precisions that are added up together


class RankedPositions:
    """Positions of one class, from which its AP follows; those without a score rank last, in their order.

    Use it as a context manager: what lies on the disk goes with it.
    """

    def __init__(self, held: int = POSITIONS_HELD) -> None:
        """Hold about so many positions in memory, before they go to the disk."""
        self._held = held
        self._waiting: list[np.ndarray] = []  # float32, the scores of true positions negated
        self._num_scored = 0
        # Runs of true positions without a score: where they begin among those without, and how many they are.
        self._silent: list[tuple[np.ndarray, np.ndarray]] = []
        self._files: list[Path] = []
        self._bounds = np.zeros(0, np.float32)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, scores: np.ndarray, positive: np.ndarray, starts: np.ndarray, firsts: np.ndarray) -> None:
        """Take the positions of some more videos, which come after all earlier ones.

        Args:
            scores: `[N]` float32, 0 or more.
            positive: `[N]` bool, which positions are true.
            starts: `[V]` where each of the videos begins in these.
            firsts: `[V]` where it begins among all positions there are, those that never come here included.
        """
        scored = scores > 0
        unscored = np.flatnonzero(positive & ~scored)
        if len(unscored):
            video = np.searchsorted(starts, unscored, side="right") - 1
            place = firsts[video] + unscored - starts[video]
            among_unscored = place - self._num_scored - np.cumsum(scored)[unscored]
            begins = np.flatnonzero(np.diff(among_unscored, prepend=-2) != 1)
            self._silent.append((among_unscored[begins], np.diff(begins, append=len(unscored))))
        self._waiting.append(np.where(positive, -scores, scores)[scored])
        self._num_scored += len(self._waiting[-1])
        if sum(map(len, self._waiting)) >= self._held:
            self._to_disk()

    def average_precision(self) -> float:
        """Mean over the true positions of the precision at their rank (the APMeter), not interpolated; 0 of none.

        Of equal scores the earlier position ranks first.
        """
        total, num_true = 0.0, 0
        for ranks in _of_length(itertools.chain(self._scored_ranks(), self._silent_ranks()), _SUMMED):
            total += float(np.sum(np.arange(num_true + 1, num_true + len(ranks) + 1) / ranks))
            num_true += len(ranks)
        return total / num_true if num_true else 0.0

    def _scored_ranks(self) -> Iterator[np.ndarray]:
        """The ranks, from 1, of the true positions that have a score, rising."""
        num_before = 0
        for scores in self._falling():
            yield np.flatnonzero(np.signbit(scores)) + num_before + 1
            num_before += len(scores)

    def _silent_ranks(self) -> Iterator[np.ndarray]:
        """The ranks of those that have none, rising."""
        for begins, numbers in self._silent:
            inside = np.arange(numbers.sum()) - np.repeat(np.cumsum(numbers) - numbers, numbers)
            yield np.repeat(begins, numbers) + inside + self._num_scored + 1

    def _falling(self) -> Iterator[np.ndarray]:
        """All scored positions by falling score, in parts that follow one another."""
        if not self._files:
            yield _sorted(self._taken())
            return
        self._to_disk()
        for file in reversed(self._files):
            yield _sorted(np.fromfile(file, np.float32))

    def _to_disk(self) -> None:
        waiting = self._taken()
        if not self._files:
            # Scores of the first positions tell well enough how those of all are spread.
            spread = np.sort(np.abs(waiting[:: max(1, len(waiting) // (1 << 16))]))
            self._bounds = np.unique(spread[np.linspace(0, len(spread) - 1, _PARTS + 1, dtype=int)[1:-1]])
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="raytad-"))
            self._files = [Path(folder, str(part)) for part in range(len(self._bounds) + 1)]
        part = np.searchsorted(self._bounds, np.abs(waiting), side="right").astype(np.uint8)
        ends = np.cumsum(np.bincount(part, minlength=len(self._files)))
        rows = np.split(waiting[np.argsort(part, kind="stable")], ends[:-1])
        for file, mine in zip(self._files, rows, strict=True):
            with file.open("ab") as stream:
                stream.write(mine.data)

    def _taken(self) -> np.ndarray:
        """What waits, and no longer does."""
        waiting = np.concatenate([np.zeros(0, np.float32), *self._waiting])
        self._waiting = []
        return waiting


def _of_length(parts: Iterator[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """The same numbers in parts of this length, but for the last: sums do not depend on how they came."""
    held: list[np.ndarray] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= length:
            joined = np.concatenate(held)
            whole = len(joined) - len(joined) % length
            yield from np.split(joined[:whole], range(length, whole, length))
            held = [joined[whole:]]
    yield np.concatenate([np.zeros(0, np.int64), *held])


def _sorted(scores: np.ndarray) -> np.ndarray:
    """By falling absolute value, of equal ones the earlier first."""
    return scores[np.argsort(-np.abs(scores), kind="stable")]
