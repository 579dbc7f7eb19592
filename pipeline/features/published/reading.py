"""The reading stage of an import: plan rows in, the same rows with their features out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from pipeline.errors import InputError
from pipeline.failures import FailureKind
from pipeline.features.decode import large_binary_row
from pipeline.features.published.archives import walk_compressed_tar
from pipeline.features.published.arrays import ArrayFile, choose_array, open_arrays, readable
from pipeline.features.published.errors import FeatureFileError
from pipeline.features.published.layout import ArrayRule, as_snippets, to_half
from pipeline.features.published.places import Place, PlaceReader
from pipeline.features.schema import CHUNK_SCHEMA, FEATURES_SCHEMA
from pipeline.features.store import join_error

Chunks = list[dict[str, Any]]


@dataclass(frozen=True)
class ChunkReader:
    """Reads the features of a batch of plan rows, one video's at a time.

    Attributes:
        places: where the features of each video lie, by id: one place a source, of which one may lie in a compressed
            tar. Rows of other videos are left for a command that names them.
        rule: which array of a file it is, and its axes.
        dim: the store's width.
    """

    places: Mapping[str, tuple[Place, ...]]
    rule: ArrayRule
    dim: int

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """One table of `FEATURES_SCHEMA` with one row for each plan row; what cannot be read has `error`.

        Rows whose features lie in a compressed tar come last, in the order of the archive.
        """
        waiting: dict[Place, tuple[str, Chunks]] = {}
        with PlaceReader() as reader:
            rows = batch.select(CHUNK_SCHEMA.names).to_pylist()
            for video_id, group in groupby(rows, key=lambda row: row["video_id"]):
                if video_id not in self.places:
                    continue
                streamed = next((place for place in self.places[video_id] if place.streamed), None)
                if streamed is None:
                    yield from self._rows(reader, video_id, list(group), None)
                else:
                    waiting[streamed] = (video_id, list(group))
            for url in sorted({place.url for place in waiting}):
                yield from self._walk(reader, url, waiting)

    def _walk(
        self, reader: PlaceReader, url: str, waiting: dict[Place, tuple[str, Chunks]]
    ) -> Iterator[pa.Table]:
        """The rows whose features are in this compressed tar, taken out of `waiting` as their members pass."""
        failure = FeatureFileError(FailureKind.UNREADABLE, f"{url}: is no longer in the archive")
        try:
            for path, size, stream in walk_compressed_tar(url):
                place = Place(url, path)
                if place in waiting:
                    video_id, chunks = waiting.pop(place)
                    yield from self._rows(reader, video_id, chunks, (stream, size))
        except InputError as error:
            failure = FeatureFileError(FailureKind.UNREADABLE, str(error))
        for place in [place for place in waiting if place.url == url]:
            for chunk in waiting.pop(place)[1]:
                yield self._row(chunk, None, failure)

    def _rows(
        self, reader: PlaceReader, video_id: str, chunks: Chunks, member: tuple[BinaryIO, int] | None
    ) -> Iterator[pa.Table]:
        try:
            features = self._features(reader, self.places[video_id], member)
            _check_planned(features, chunks)
        except FeatureFileError as error:
            for chunk in chunks:
                yield self._row(chunk, None, error)
            return
        for chunk in chunks:
            first = chunk["first_snippet"]
            yield self._row(chunk, features[first : first + chunk["num_snippets"]], None)

    def _features(
        self, reader: PlaceReader, places: tuple[Place, ...], member: tuple[BinaryIO, int] | None
    ) -> np.ndarray:
        """`[T, dim]` float16: the sources side by side, cut to the shortest."""
        parts = []
        for place in places:
            with readable(place.suffix):
                if place.streamed:
                    assert member is not None
                    file = open_arrays(*member, place.suffix, seekable=False)
                else:
                    file = reader.open(place)
                parts.append(to_half(as_snippets(_read(file, place, self.rule), self.rule.layout)))
        length = min(len(part) for part in parts)
        features = np.concatenate([part[:length] for part in parts], axis=1)
        if features.shape[1] != self.dim:
            raise FeatureFileError(
                FailureKind.BAD_FEATURES, f"has {features.shape[1]} channels and the store {self.dim}"
            )
        return features

    def _row(
        self, chunk: dict[str, Any], features: np.ndarray | None, error: FeatureFileError | None
    ) -> pa.Table:
        message = None if error is None else join_error(error.kind, str(error))
        return pa.Table.from_arrays(
            [
                *(pa.array([chunk[field.name]], type=field.type) for field in CHUNK_SCHEMA),
                pa.array([self.dim], type=pa.int32()),
                large_binary_row(features),
                pa.array([message], type=pa.string()),
            ],
            schema=FEATURES_SCHEMA,
        )


def _read(file: ArrayFile, place: Place, rule: ArrayRule) -> np.ndarray:
    return file.read(choose_array(file, place.entry, rule.key))


def _check_planned(features: np.ndarray, chunks: Chunks) -> None:
    """Raises FeatureFileError where the file is not as long as when it was planned."""
    last = chunks[-1]
    stop = last["first_snippet"] + last["num_snippets"]
    whole = last["chunk_index"] == last["num_chunks"] - 1
    if stop > len(features) or (whole and stop < len(features)):
        raise FeatureFileError(
            FailureKind.BAD_FEATURES,
            f"holds {len(features)} snippets, not those that were planned: the file changed; use another store=",
        )
