"""The folder that prediction writes.

<out>/provenance.json   what made it: a folder belongs to one checkpoint and one set of settings
<out>/detector/         what made them: a copy of the checkpoint, without what only training needs
<out>/plan/             one row a video that the last run had to predict, with the places of its features
<out>/predictions/      one row a video, with all its segments
<out>/checkpoint/       Ray Data's record of the videos that are done
<out>/segments/         one row a segment, flattened from predictions/: a file for a file
<out>/flattened.json    the files of predictions/ that segments/ tells of, in the order in which they count
<out>/merging.json      which files are being merged, while they are (`pipeline.cluster.merging`)
<out>/results/          what segments/ says, for people and other tools (`pipeline.segments.results`); not always
<out>/failures/         one row a video that was lost
<out>/complete.json     counts; there when the last predict came to its end (`pipeline.segments.completeness`)
"""

import logging
import posixpath
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import parquet, storage
from pipeline.cluster.merging import Merged, merge_resumable, small, units_in
from pipeline.cluster.resumable import undo_uncommitted
from pipeline.detector.settings import MergeConfig
from pipeline.differences import differences
from pipeline.errors import InputError
from pipeline.failures import Failure, replace_failures
from pipeline.records import parse_record, record_bytes
from pipeline.screen import phase
from pipeline.segments.flattened import forget_flattened, read_flattened, write_flattened
from pipeline.segments.read import read_segments
from pipeline.segments.results import remove_results, write_results
from pipeline.segments.settings import ResultsConfig
from pipeline.segments.tables import flatten
from pipeline.segments.threshold import score_threshold

logger = logging.getLogger(__name__)

MERGED_MB = 32.0  # of a file that small ones become; in memory it is some times that
_OUTCOMES_SCHEMA = pa.schema(
    [pa.field("video_id", pa.string(), nullable=False), pa.field("error", pa.string())]
)


@dataclass(frozen=True)
class Provenance:
    """All that predictions depend on besides the videos.

    Attributes:
        checkpoint: its URL, for people; a copy elsewhere is as good.
        checkpoint_digest: digest of the weights.
        feature_digest: digest of the FeatureSpec of the features that were read.
        window_length, window_step: snippets.
        merge: how windows were merged.
        window_last: `windows.test_last`, where it is not the run's own.
        naming: what named the segments anew, where words did.
    """

    checkpoint: str
    checkpoint_digest: str
    feature_digest: str
    window_length: int
    window_step: int
    merge: MergeConfig
    window_last: str | None = None
    naming: dict[str, Any] | None = None

    def as_tree(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"merge": self.merge.model_dump()}

    def to_json(self) -> bytes:
        return record_bytes(self.as_tree())

    def metadata(self) -> dict[str, bytes]:
        """The schema metadata of tables with this provenance."""
        return {
            "provenance": self.to_json(),
            "checkpoint": self.checkpoint.encode(),
            "checkpoint_digest": self.checkpoint_digest.encode(),
            "feature_digest": self.feature_digest.encode(),
        }


class PredictionFolder:
    """An output folder that belongs to one provenance."""

    def __init__(self, url: str, provenance: Provenance) -> None:
        """Open the folder, or make it.

        Raises InputError showing the difference where it is of another provenance.
        """
        self.url = storage.absolute(url)
        self.provenance = provenance
        name = storage.join(self.url, "provenance.json")
        if storage.create_exclusively(name, provenance.to_json()):
            return
        held = parse_record(storage.read_bytes(name), name, dict[str, Any], "predict's provenance")
        held["merge"] = MergeConfig.model_validate(
            held.get("merge", {})
        ).model_dump()  # with settings that are newer
        changed = [
            f"{key} was {before}, is {now}"
            for key, (before, now) in differences(held, provenance.as_tree(), {"checkpoint"}).items()
        ]
        if changed:
            own = self.folder("detector")
            those = f"checkpoint={own} goes on with those" if storage.exists(own) else "choose those"
            raise InputError(
                f"out={url}: holds other predictions ({'; '.join(changed)}); {those}, or another out="
            )

    @classmethod
    def existing(cls, url: str) -> "PredictionFolder":
        """The folder at `url`, of whatever provenance. Raises InputError where predict has not written one there."""
        name = storage.join(url, "provenance.json")
        if not storage.exists(name):
            raise InputError(
                f"predictions={url}: no folder that predict wrote (provenance.json is missing); look at the path"
            )
        return cls(url, parse_record(storage.read_bytes(name), name, Provenance, "predict's provenance"))

    def folder(self, name: str) -> str:
        """URL of one of the folders (`detector`, `plan`, `predictions`, `checkpoint`, `segments`, `results`, ...)."""
        return storage.join(self.url, name)

    def heal(self) -> None:
        """Remove what earlier runs left half-written or damaged; its videos are predicted again."""
        storage.remove_partial(self.url)
        undo_uncommitted(self.folder("predictions"), self.folder("checkpoint"))
        for name in ("predictions", "segments"):
            for url in parquet.list_parquet(self.folder(name)):
                try:
                    parquet.read_file(url, lambda file: file.metadata)
                except parquet.DamagedFileError:
                    logger.warning("%s: damaged; it is made again", url)
                    storage.remove(url)

    def outcomes(self) -> pa.Table:
        """Every predicted video (`video_id`) with its `error`, null where all went well.

        A video that was tried again has two rows, and the good one counts.
        """
        files = parquet.list_parquet(self.folder("predictions"))
        tables = [parquet.read_table(url, columns=_OUTCOMES_SCHEMA.names) for url in files]
        together = pa.concat_tables([_OUTCOMES_SCHEMA.empty_table(), *tables])
        good = pc.is_null(together["error"]).to_numpy()
        # Of rows with errors the last counts.
        order = np.concatenate([np.flatnonzero(good), np.flatnonzero(~good)[::-1]])
        _, first = np.unique(_codes(together["video_id"])[order], return_index=True)
        return together.take(np.sort(order[first]))

    def files_of(self, video_ids: pa.Array | pa.ChunkedArray) -> list[str]:
        """URLs of the files in `predictions/` that hold some of these videos."""
        held = parquet.read_folder(
            self.folder("predictions"), lambda url: parquet.read_table(url, columns=["video_id"])["video_id"]
        )
        return [url for url, ids in held.items() if pc.any(pc.is_in(ids, value_set=video_ids)).as_py()]

    def write_plan(self, videos: pa.Table) -> None:
        """Replace `plan/` by these videos, rows of `PLACES_SCHEMA`."""
        parquet.write_table(storage.join(self.folder("plan"), "videos.parquet"), videos)

    def lacks_segments(self) -> bool:
        """Whether `segments/` may not tell all that is in `predictions/`, or some of it twice."""
        names = self.names("predictions")
        return self.names("segments") != names or set(read_flattened(self.url)) != names

    def write_segments(self) -> None:
        """Make `segments/` say what `predictions/` says, each video once; files that say so already stay.

        Of two rows of a video, which was done twice, the one in the file that was flattened first counts.
        """
        names, there, told = self.names("predictions"), self.names("segments"), read_flattened(self.url)
        if not set(told) <= names & there:
            # A file that is gone may have been the one that counted, in whichever others its videos are.
            told = []
            forget_flattened(self.url)
        for name in there - names:
            storage.remove(storage.join(self.folder("segments"), name))
        order = [*told, *sorted(names - set(told))]
        counting = _first_of_each(
            [
                parquet.read_table(self._file("predictions", name), columns=["video_id", "error"])
                for name in order
            ]
        )
        for name, counts in list(zip(order, counting, strict=True))[len(told) :]:
            predictions = parquet.read_table(self._file("predictions", name))
            parquet.write_table(self._file("segments", name), flatten(predictions.filter(pa.array(counts))))
        write_flattened(self.url, order)

    def merge(self, megabytes: float) -> Merged:
        """Merge small files of `predictions/` with those of `segments/`; `pipeline.cluster.merging` tells how."""
        if self.lacks_segments():
            self.write_segments()
        return merge_resumable(
            self.url, "predictions", "video_id", megabytes, _distinct_predictions, self._switch_segments
        )

    def merge_if_many(self, megabytes: float, most: int) -> None:
        """`merge` where there are more than `most` small files; 0 never does."""
        units = units_in(self.folder("predictions"), self.folder("checkpoint"))
        if most and len(small(units, megabytes)) > most:
            with phase("merging small files"):
                merged = self.merge(megabytes)
            logger.info("%d small files of %s merged into %d", merged.before, self.url, merged.after)

    def _switch_segments(self, merged: str, urls: Sequence[str]) -> None:
        """Let `segments/` tell of a merged file of `predictions/` instead of those that it replaces.

        No video is in two of their tables, and readers go by the list, which is replaced at once.
        """
        name, old = posixpath.basename(merged), [posixpath.basename(url) for url in urls]
        tables = [parquet.read_table(self._file("segments", each)) for each in old]
        parquet.write_table(self._file("segments", name), pa.concat_tables(tables))
        kept = [each for each in read_flattened(self.url) if each not in old]
        write_flattened(self.url, [name, *kept])
        for each in old:
            storage.remove(self._file("segments", each))

    def _file(self, folder: str, name: str) -> str:
        return storage.join(self.folder(folder), name)

    def write_results(self, config: ResultsConfig, video_ids: Sequence[str]) -> bool:
        """Make `results/` say what `segments/` says of these videos, or be gone; whether there is one now."""
        folder = self.folder("results")
        if not config.wanted(len(video_ids)):
            remove_results(folder)
            if config.write == "auto":
                logger.info(
                    "%d videos: more than results/ is for; results.write=always writes it", len(video_ids)
                )
            return False
        segments = read_segments(self.url)
        threshold = score_threshold(config.min_score, segments)
        write_results(folder, segments, threshold, video_ids=video_ids, at_a_time=config.at_a_time)
        return True

    def write_failures(self, failures: Sequence[Failure]) -> None:
        """Replace `failures/` by these."""
        replace_failures(storage.join(self.folder("failures"), "predict.parquet"), failures)

    def names(self, folder: str) -> set[str]:
        """Names of the Parquet files in one of the folders."""
        return {posixpath.basename(url) for url in parquet.list_parquet(self.folder(folder))}


def _distinct_predictions(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of tables of `PREDICTIONS_SCHEMA`, each video once: the first good one, or the first."""
    together = pa.concat_tables(tables)
    failed = pc.is_valid(together["error"]).to_numpy()
    order = np.argsort(failed, kind="stable")
    _, first = np.unique(_codes(together["video_id"])[order], return_index=True)
    return together.take(pa.array(np.sort(order[first])))


def _first_of_each(tables: Sequence[pa.Table]) -> list[np.ndarray]:
    """For each table (`video_id`, `error`) its rows, `[N]` bool, that hold the first prediction of their video."""
    together = pa.concat_tables([_OUTCOMES_SCHEMA.empty_table(), *tables])
    good = np.flatnonzero(pc.is_null(together["error"]).to_numpy())
    _, first = np.unique(_codes(together["video_id"])[good], return_index=True)
    counts = np.zeros(together.num_rows, dtype=bool)
    counts[good[first]] = True
    return np.split(counts, np.cumsum([table.num_rows for table in tables])[:-1])


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """The same small number for the same text."""
    return column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
