"""Naming: segments of an earlier prediction get their classes from words, without detecting anything anew."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import ray
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
from pipeline.inference.graph import fill_predictions, need_of
from pipeline.inference.output import PredictionFolder
from pipeline.inference.settings import NameConfig
from pipeline.inference.standing import finish, standing
from pipeline.lease import hold
from pipeline.naming.stage import NamingActor
from pipeline.naming.words import TextSource, embed, text_source
from pipeline.screen import phase
from pipeline.segments.completeness import mark_begun
from pipeline.segments.csv_text import csv_text
from pipeline.segments.read import read_tables
from pipeline.segments.schema import SEGMENTS_SCHEMA
from pipeline.summary import Summary

logger = logging.getLogger(__name__)

_WORDS, _SEARCH = "words.safetensors", "search.csv"
# Of the settings, those that the digest of the words tells of.
_IN_WORDS = {"classes", "templates", "split_names", "none_of_these", "architecture", "weights"}


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
    told = {"words": source.digest, "features": store.spec.digest} | config.words.model_dump(
        exclude=_IN_WORDS
    )
    with hold(config.out, "out", "name", config.force):
        out = PredictionFolder(config.out, replace(given.provenance, naming=told))
        summary = _name(config, given, store, source, out)
        if config.query is None:
            return summary
        best = most_alike(read_tables(out.url), config.top)
        url = out.folder(_SEARCH)
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


def _name(
    config: NameConfig,
    given: PredictionFolder,
    store: FeatureStore,
    source: TextSource,
    out: PredictionFolder,
) -> Summary:
    mark_begun(out.url)
    index = store.index()
    with_segments, unusable = _usable(given, index)
    if not with_segments.any():
        raise InputError(
            f"predictions={given.url}: none of its videos is complete in {store.url} ({len(unusable)} are not); give "
            "the store that holds their features"
        )
    out.heal()
    done, lost = standing(index, out.outcomes())
    todo = with_segments & (~done if config.retry_failed else ~done & ~lost)
    pending = index.only(np.flatnonzero(todo))
    total = int(with_segments.sum())
    logger.info(
        "%d videos in %s: %d to name, %d done or lost before",
        total,
        given.url,
        len(pending),
        total - len(pending),
    )
    started = time.monotonic()
    if pending:
        with phase("reading the words"):
            words = embed(source, config.words.probabilities == "sigmoid", out.folder(_WORDS))
        connect(config.ray)
        check_needs([need_of(config.actors, "actors")])
        arguments = (store.url, ray.put(pending), words, config.words)
        fill_predictions(
            out, given.folder("predictions"), NamingActor, arguments, config.actors,
            index=index.only(np.flatnonzero(with_segments)), pending=pending,
            redo=frozenset(index.ids(todo & lost).to_pylist()), detections=config.words.top_k,
        )  # fmt: skip
    seconds = time.monotonic() - started
    return finish(
        out, index, pending, unusable, job="name", videos=total, seconds=seconds,
        results=config.results, merge_over=config.merge_over, allow_failures=config.allow_failures,
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
