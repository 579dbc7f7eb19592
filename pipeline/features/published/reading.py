"""The reading stage of an import: plan rows in, the same rows with their features out."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.cluster.tally import Tally
from pipeline.errors import InputError
from pipeline.failures import FailureKind, join_error
from pipeline.features.amounts import errors_in, seconds_in, videos_in
from pipeline.features.cells import chunk_row, large_binary_row
from pipeline.features.published.errors import FeatureFileError
from pipeline.features.published.isolation import IsolatedFiles, WantedFeatures, isolated_files
from pipeline.features.published.layout import ArrayRule
from pipeline.features.published.placed_rows import PLACED_SCHEMA, places_of
from pipeline.features.published.places import Place
from pipeline.features.schema import FEATURES_SCHEMA
from pipeline.video.sandbox import DEFAULT_LIMITS, Limits

Chunks = list[dict[str, Any]]


@dataclass(frozen=True)
class PublishedReader:
    """Reads the features of a batch of plan rows, one video's at a time.

    Attributes:
        rule: which array of a file it is, and its axes.
        dim: the store's width.
        limits: what a step of reading may cost.
        tally: what is done is added to it.
    """

    rule: ArrayRule
    dim: int
    limits: Limits = DEFAULT_LIMITS
    tally: Tally | None = None

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """One table of `FEATURES_SCHEMA` with one row for each row of `PLACED_SCHEMA`; what cannot be read has `error`.

        Rows whose features lie in a compressed tar come last, in the order of the archive.
        """
        for rows in self._read(batch):
            if self.tally:
                self.tally.add(videos_in(rows), seconds_in(rows), errors_in(rows))
            yield rows

    def _read(self, batch: pa.Table) -> Iterator[pa.Table]:
        waiting: dict[Place, Chunks] = {}
        files = isolated_files(self.rule, self.limits)
        try:
            rows = batch.select(PLACED_SCHEMA.names).to_pylist()
            for _, group in groupby(rows, key=lambda row: row["video_id"]):
                chunks = list(group)
                streamed = next((place for place in places_of(chunks[0]) if place.streamed), None)
                if streamed is None:
                    yield from self._rows(files, chunks, 0)
                else:
                    waiting[streamed] = chunks
            for url in sorted({place.url for place in waiting}):
                yield from self._walk(files, url, waiting)
        finally:
            files.close()

    def _walk(self, files: IsolatedFiles, url: str, waiting: dict[Place, Chunks]) -> Iterator[pa.Table]:
        """The rows whose features are in this compressed tar, taken out of `waiting` as their members pass."""
        failure = FeatureFileError(FailureKind.UNREADABLE, f"{url}: is no longer in the archive")
        try:
            for position, path in files.walk(url):
                place = Place(url, path)
                if place in waiting:
                    yield from self._rows(files, waiting.pop(place), position)
        except InputError as error:
            failure = FeatureFileError(FailureKind.UNREADABLE, str(error))
        except FeatureFileError as error:
            failure = error
        for place in [place for place in waiting if place.url == url]:
            for chunk in waiting.pop(place):
                yield self._row(chunk, None, failure)

    def _rows(self, files: IsolatedFiles, chunks: Chunks, position: int) -> Iterator[pa.Table]:
        last = chunks[-1]
        first, stop = chunks[0]["first_snippet"], last["first_snippet"] + last["num_snippets"]
        whole = last["chunk_index"] == last["num_chunks"] - 1
        wanted = WantedFeatures(places_of(chunks[0]), self.dim, first, stop, whole, position)
        try:
            features = files.features(wanted)
        except FeatureFileError as error:
            for chunk in chunks:
                yield self._row(chunk, None, error)
            return
        for chunk in chunks:
            start = chunk["first_snippet"] - first
            yield self._row(chunk, features[start : start + chunk["num_snippets"]], None)

    def _row(
        self, chunk: dict[str, Any], features: np.ndarray | None, error: FeatureFileError | None
    ) -> pa.Table:
        message = None if error is None else join_error(error.kind, str(error))
        return chunk_row(
            FEATURES_SCHEMA, chunk, dim=self.dim, features=large_binary_row(features), error=message
        )
