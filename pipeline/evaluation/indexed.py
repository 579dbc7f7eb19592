"""Segment tables as plain arrays, which the metrics compute on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.annotations.canonical import Annotations


@dataclass(frozen=True)
class IndexedSegments:
    """Rows of a segment table.

    Attributes:
        videos, labels: `[N]` positions in the annotations' videos and labels, -1 where they have none.
        seconds: `[N, 2]` (start, end).
        scores: `[N]`; of the truth, 1.
    """

    videos: np.ndarray
    labels: np.ndarray
    seconds: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: np.ndarray) -> "IndexedSegments":
        """The rows that an index array or a mask selects."""
        return IndexedSegments(self.videos[rows], self.labels[rows], self.seconds[rows], self.scores[rows])

    def best_first(self) -> "IndexedSegments":
        """The rows by falling score; of equal scores the earlier row first."""
        return self[np.argsort(-self.scores, kind="stable")]


def index_segments(table: pa.Table, annotations: Annotations) -> IndexedSegments:
    """The rows, in their order, of a table of `SEGMENTS_SCHEMA`, or of `INSTANCES_SCHEMA` (the truth)."""
    labels = pa.array(annotations.labels, type=pa.string())
    scored = "score" in table.column_names
    return IndexedSegments(
        videos=_positions(table["video_id"], annotations.videos["video_id"]),
        labels=_positions(table["label"], labels),
        seconds=np.stack([table["t_start"].to_numpy(), table["t_end"].to_numpy()], axis=1),
        scores=table["score"].to_numpy() if scored else np.ones(table.num_rows),
    )


def together(parts: Sequence[IndexedSegments]) -> IndexedSegments:
    """The rows of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return IndexedSegments(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros(0))
    return IndexedSegments(
        videos=np.concatenate([part.videos for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        seconds=np.concatenate([part.seconds for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
    )


def _positions(column: pa.ChunkedArray, values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(pc.index_in(column, values), -1).to_numpy().astype(np.int64)
