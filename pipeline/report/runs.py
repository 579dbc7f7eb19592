"""Predictions as a report holds them: by video, best first, each with what the truth says of it."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from pipeline import storage
from pipeline.annotations.canonical import Annotations
from pipeline.evaluation.error_analysis import ErrorAnalysis, analyse_errors
from pipeline.evaluation.indexed import IndexedSegments, index_segments
from pipeline.evaluation.ranking import Ranking

# The kind of a prediction that nothing is known of: there is no truth, or the truth does not know its label.
UNSCORED = 255


@dataclass(frozen=True)
class ReportedRun:
    """The predictions of one run in V videos.

    Attributes:
        name: what the run is called.
        url: where its predictions lie, without secrets.
        first: `[V + 1]`, the rows of video v are `first[v]` up to `first[v + 1]`, best first.
        found: N rows; labels are positions in the report's.
        kinds: `[N]` positions in `error_analysis.KINDS`, or `UNSCORED`.
        tious: `[N]`, the highest tIoU with a true instance of the same label; 0 without truth.
        found_scores: `[M]`, the score of the prediction that hits each true instance, NaN where none does; `[0]`
            without truth.
    """

    name: str
    url: str
    first: np.ndarray
    found: IndexedSegments
    kinds: np.ndarray
    tious: np.ndarray
    found_scores: np.ndarray

    def best(self, most: np.ndarray) -> "ReportedRun":
        """Only the best `most [V]` predictions of each video."""
        kept = np.minimum(np.diff(self.first), most)
        place = np.arange(len(self.found)) - np.repeat(self.first[:-1], np.diff(self.first))
        rows = np.flatnonzero(place < np.repeat(kept, np.diff(self.first)))
        return self._of_rows(rows, np.append(0, np.cumsum(kept)))

    def of(self, videos: np.ndarray) -> "ReportedRun":
        """Only the predictions in the videos at these positions, in this order."""
        counts = np.diff(self.first)[videos]
        first = np.append(0, np.cumsum(counts))
        rows = np.repeat(self.first[videos] - first[:-1], counts) + np.arange(first[-1])
        run = self._of_rows(rows, first)
        numbered = replace(run.found, videos=np.repeat(np.arange(len(videos)), counts))
        return replace(run, found=numbered)

    def _of_rows(self, rows: np.ndarray, first: np.ndarray) -> "ReportedRun":
        return replace(
            self, first=first, found=self.found[rows], kinds=self.kinds[rows], tious=self.tious[rows]
        )


def reported_run(name: str, url: str, segments: pa.Table, videos: Annotations) -> ReportedRun:
    """A run's predictions by the videos and labels of a report; those in other videos are left out.

    Args:
        name, url: of the run.
        segments: table of `SEGMENTS_SCHEMA`.
        videos: the report's videos and labels, whatever is true of them.
    """
    found = index_segments(segments, videos)
    found = found[found.videos >= 0]
    order = np.lexsort((found.labels, found.seconds[:, 1], found.seconds[:, 0], -found.scores, found.videos))
    found = found[order]
    first = np.searchsorted(found.videos, np.arange(videos.videos.num_rows + 1))
    kinds = np.full(len(found), UNSCORED, dtype=np.uint8)
    url = storage.without_secrets(url)
    return ReportedRun(name, url, first, found, kinds, np.zeros(len(found)), np.zeros(0))


def scored_run(
    run: ReportedRun, truth: Annotations, thresholds: Sequence[float], union_epsilon: float, tiou: float
) -> tuple[ReportedRun, Ranking, ErrorAnalysis]:
    """The run with the kinds of its predictions, matched with the truth.

    Args:
        run: by the videos and labels of the report, of which `truth` has the same videos and the first labels.
        truth: of these videos.
        thresholds: rising tIoU thresholds of the ranking, `tiou` among them.
        union_epsilon: added to the union in tIoU, in seconds.
        tiou: the threshold of errors.
    """
    known = np.flatnonzero(run.found.labels < len(truth.labels))
    predictions = run.found[known]
    ranking = Ranking(truth, thresholds, union_epsilon)
    ranking.add(predictions)
    errors = analyse_errors(predictions, ranking, tiou, union_epsilon)
    kinds, tious = run.kinds.copy(), run.tious.copy()
    kinds[known], tious[known] = errors.kinds, errors.own_tiou
    found_scores = np.append(predictions.scores, np.nan)[errors.found_by]
    return replace(run, kinds=kinds, tious=tious, found_scores=found_scores), ranking, errors


def run_names(urls: Sequence[str]) -> list[str]:
    """What to call predictions: the last part of each URL that tells it from the others.

    One alone is called by its last part, or by the folder above where that says only what it is.
    """
    parts = [_without_suffix(storage.without_secrets(url).rstrip("/")).split("/") for url in urls]
    if len(set(map(tuple, parts))) < len(parts):
        return [f"{index + 1}: {names[-1]}" for index, names in enumerate(parts)]
    if len(parts) == 1:
        names = parts[0]
        return [names[-2] if names[-1] in ("predictions", "segments") and len(names) > 2 else names[-1]]
    while all(len(names) > 1 for names in parts) and len({names[-1] for names in parts}) == 1:
        parts = [names[:-1] for names in parts]
    length = 1
    while len({tuple(names[-length:]) for names in parts}) < len(parts):
        length += 1
    return ["/".join(names[-length:]) for names in parts]


def _without_suffix(url: str) -> str:
    return re.sub(r"\.(parquet|json)$", "", url)


def digest_of(runs: Sequence[ReportedRun], video_ids: Sequence[str], labels: Sequence[str]) -> str:
    """What tells these predictions from others: 32 hexadecimal digits of SHA-256."""
    digest = hashlib.sha256()
    for texts in (video_ids, labels):
        for text in texts:
            digest.update(f"{len(text.encode())}:{text}".encode())
    for run in runs:
        for column in (run.first, run.found.labels, run.found.seconds, run.found.scores):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:32]
