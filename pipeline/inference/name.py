"""Naming: segments of an earlier prediction get their classes from words, without detecting anything anew."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline import storage
from pipeline.cluster.needs import check_needs
from pipeline.cluster.runtime import connect
from pipeline.errors import InputError
from pipeline.failures import Failure, FailureKind
from pipeline.features.index import StoreIndex
from pipeline.features.store import FeatureStore
from pipeline.inference.detect import clock
from pipeline.inference.output import PredictionFolder
from pipeline.inference.settings import NameConfig
from pipeline.inference.stages import Naming, lost_in, run_stages, undone
from pipeline.inference.standing import finish, standing, summarise
from pipeline.lease import hold
from pipeline.naming.words import text_source
from pipeline.segments.completeness import mark_begun
from pipeline.segments.csv_text import csv_text
from pipeline.segments.read import read_tables
from pipeline.segments.schema import SEGMENTS_SCHEMA
from pipeline.summary import Summary

logger = logging.getLogger(__name__)

_SEARCH = "search.csv"


@dataclass(frozen=True)
class Found:
    """What a query found, and how the job ended."""

    segments: pa.Table
    summary: Summary

    @property
    def exit_status(self) -> int:
        return self.summary.exit_status

    def show(self, console: Console) -> None:
        """Print the segments, the most alike first, and the summary."""
        table = Table("video", "start", "end", "likeness")
        for row in self.segments.to_pylist():
            table.add_row(
                Text(row["video_id"]), clock(row["t_start"]), clock(row["t_end"]), f"{row['score']:.3f}"
            )
        console.print(table)
        self.summary.show(console)


def name(config: NameConfig) -> Summary | Found:
    """Name the segments of `config.predictions`; the same command continues after any stop.

    Raises InputError where the classes, the store or the network of the words cannot be used, or another job writes
    into the folder.
    """
    given = PredictionFolder.existing(config.predictions)
    store = FeatureStore(config.store)
    source = text_source(store, config.words)
    with hold(config.out, "out", "name", config.force):
        naming = Naming.into(
            config.out, given, source, store.spec.digest, config.words, config.actors, "actors"
        )
        summary = _name(config, naming, store)
        if config.query is None:
            return summary
        best = most_alike(read_tables(naming.out.url), config.top)
        url = naming.out.folder(_SEARCH)
        storage.write_bytes(url, csv_text(best).encode())
        return Found(best, replace(summary, outputs=summary.outputs | {"search": url}))


def most_alike(tables: Iterable[pa.Table], top: int) -> pa.Table:
    """The `top` segments of the highest score of tables of `SEGMENTS_SCHEMA`, best first, of equal ones the first."""
    best = SEGMENTS_SCHEMA.empty_table()
    for table in tables:
        together = pa.concat_tables([best, table])
        order = np.argsort(-together["score"].to_numpy(), kind="stable")[:top]
        best = together.take(order)
    return best


def _name(config: NameConfig, naming: Naming, store: FeatureStore) -> Summary:
    out, given = naming.out, naming.given
    mark_begun(out.url)
    index = store.index()
    with_segments, unusable = _usable(given, index)
    if not with_segments.any():
        raise InputError(
            f"predictions={given.url}: none of its videos is complete in {store.url} ({len(unusable)} are not); give "
            "the store that holds their features"
        )
    out.heal()
    index = index.only(np.flatnonzero(with_segments))
    pending = index.only(np.flatnonzero(undone([naming], index, config.retry_failed)))
    logger.info(
        "%d videos in %s: %d to name, %d done or lost before",
        len(index),
        given.url,
        len(pending),
        len(index) - len(pending),
    )
    started = time.monotonic()
    if pending:
        naming.prepare()
        connect(config.ray)
        check_needs(naming.needs())
        everything = np.ones(len(index), dtype=bool)
        run_stages([naming], store.url, index, everything, retry_failed=config.retry_failed)
    seconds = time.monotonic() - started
    failed, videos = lost_in([naming], index), len(index) + len(unusable)
    finish(out, [*failed, *unusable], videos=videos, merge_over=config.merge_over, wrote=len(pending) > 0)
    return summarise(
        out, pending, failed, unusable, job="name", videos=videos, seconds=seconds,
        results=config.results, allow_failures=config.allow_failures,
    )  # fmt: skip


def _usable(given: PredictionFolder, index: StoreIndex) -> tuple[np.ndarray, list[Failure]]:
    """Which videos of the store, `[V]` bool, have segments to be named, and the predicted ones that cannot be."""
    outcomes = given.outcomes()
    there, _ = standing(index, outcomes)
    has_features = index.has_all(outcomes["video_id"])
    failed = outcomes["error"].is_valid().to_numpy()
    rows = outcomes.filter(pa.array(failed | ~has_features)).sort_by("video_id").to_pylist()
    unusable = [
        Failure(
            row["video_id"], "", "name", FailureKind.MISSING_FEATURES,
            f"was not predicted: {row['error']}" if row["error"] else "the store has no features of it, or not all",
        )
        for row in rows
    ]  # fmt: skip
    return there & index.complete, unusable
