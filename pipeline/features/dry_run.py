"""What an extraction would do and about how long it would take, found out without writing anything."""

import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
from rich.console import Console
from rich.table import Table

from pipeline import storage
from pipeline.config import ExtractConfig
from pipeline.failures import FAILURES_SCHEMA
from pipeline.features.decode import ChunkDecoder
from pipeline.features.embed import ChunkEmbedder
from pipeline.features.extraction import (
    chunk_decoder,
    decoding_limits,
    describe_backbone,
    embedder_arguments,
)
from pipeline.features.plan import new_videos, probe_all
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource, list_videos
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.ray_runtime import connect
from pipeline.summary import EXIT_OK

logger = logging.getLogger(__name__)

_SAMPLED_CHUNKS = 3


@dataclass(frozen=True)
class StageTimes:
    """Seconds of each stage for some chunks, worked off one after the other.

    Attributes:
        snippets: of these chunks.
        decode: seconds of one decoding task.
        embed: seconds of one backbone actor.
    """

    snippets: int
    decode: float
    embed: float


@dataclass(frozen=True)
class DryRun:
    """The plan of an extraction.

    Attributes:
        videos: videos that the command names; `to_do`, `already_done` and the failed ones together.
        to_do: those with chunks to extract.
        already_done: those that are complete in the store.
        failed: kind -> videos that cannot be probed, or that an earlier run lost.
        hours: of video, in all chunks to extract.
        chunks: to extract.
        snippets: in them.
        feature_bytes: of these snippets, before compression.
        sample: a measurement, or None where there was nothing to measure.
        decoders: decoding tasks that run at once on this Ray.
        actors: backbone actors that do.
        store: where it would all be written.
    """

    videos: int
    to_do: int
    already_done: int
    failed: dict[str, int]
    hours: float
    chunks: int
    snippets: int
    feature_bytes: int
    sample: StageTimes | None
    decoders: int
    actors: int
    store: str

    @property
    def exit_status(self) -> int:
        return EXIT_OK

    @property
    def seconds(self) -> float | None:
        """Estimated time of the slower stage, the other one being hidden behind it."""
        if self.sample is None:
            return None
        share = self.snippets / self.sample.snippets
        return share * max(self.sample.decode / self.decoders, self.sample.embed / self.actors)

    def show(self, console: Console) -> None:
        """Print the plan."""
        table = Table(
            title=f"extract, dry run: {self.videos} videos", title_justify="left", show_header=False
        )
        table.add_row("to do", str(self.to_do))
        table.add_row("already done", str(self.already_done))
        table.add_row("failed", f"[bold red]{sum(self.failed.values())}[/]" if self.failed else "0")
        for kind, count in sorted(self.failed.items()):
            table.add_row(f"  {kind}", str(count))
        table.add_row("video to decode", f"{self.hours:.2f} hours in {self.chunks} chunks")
        table.add_row(
            "features to write",
            f"{self.feature_bytes / 2**20:.1f} MiB, {self.snippets} snippets, before compression",
        )
        if self.sample is not None and self.seconds is not None:
            share = 1000 / self.sample.snippets
            table.add_row("decoding", _rate(self.sample.decode * share, self.decoders, "tasks"))
            table.add_row("backbone", _rate(self.sample.embed * share, self.actors, "actors"))
            table.add_row("estimated time", f"{timedelta(seconds=round(self.seconds))} on this Ray")
        table.add_row("store", f"{self.store} (nothing was written)")
        console.print(table)


def rehearse(config: ExtractConfig) -> DryRun:
    """Probe the videos that the store does not know, and time the stages on a few of the chunks to do.

    Raises InputError as the extraction would.
    """
    sources = list_videos(config.videos)
    connect(config.ray)
    spec, size = ray.get(describe_backbone.remote(config.backbone, config.timeline.build()))
    store = _existing_store(config.store, spec)
    new = sources if store is None else new_videos(store, sources, probe_again=config.retry_failed)
    logger.info("%d videos in %s, %d of them new", len(sources), config.videos, len(new))
    probed = [
        (plan, failures)
        for plan, failures, _ in probe_all(new, spec.timeline, config.chunk_frames, decoding_limits(config))
    ]
    pending = pa.concat_tables([PLAN_SCHEMA.empty_table(), *(plan for plan, _ in probed)])
    failures = pa.concat_tables([FAILURES_SCHEMA.empty_table(), *(failed for _, failed in probed)])
    if store is not None:
        pending = pa.concat_tables([pending, store.pending(retry_lost=config.retry_failed)])
        failures = pa.concat_tables([failures, store.failures()])
    decoder = chunk_decoder(config, spec, size)
    return _count(config, sources, store, pending, failures, spec, _measure(config, spec, decoder, pending))


def _existing_store(url: str, spec: FeatureSpec) -> FeatureStore | None:
    """The store, checked as for writing; None where there is none yet."""
    if not storage.exists(storage.join(url, "feature_spec.json")):
        return None
    return FeatureStore.create(url, spec)


def _count(
    config: ExtractConfig,
    sources: list[VideoSource],
    store: FeatureStore | None,
    pending: pa.Table,
    failures: pa.Table,
    spec: FeatureSpec,
    sample: StageTimes | None,
) -> DryRun:
    named = {source.video_id for source in sources}
    to_do = set(pending["video_id"].to_pylist()) & named
    index = {} if store is None else store.index()
    done = {video_id for video_id in named - to_do if video_id in index and index[video_id].complete}
    kinds = dict(zip(failures["video_id"].to_pylist(), failures["kind"].to_pylist(), strict=True))
    snippets = pc.sum(pending["num_snippets"]).as_py() or 0
    seconds = sum(
        row["num_snippets"] * spec.timeline.stride / row["fps"]
        for row in pending.select(["num_snippets", "fps"]).to_pylist()
    )
    decoders, actors = _parallelism(config)
    return DryRun(
        videos=len(sources),
        to_do=len(to_do),
        already_done=len(done),
        failed=dict(Counter(kinds.get(video_id, "unknown") for video_id in named - to_do - done)),
        hours=seconds / 3600,
        chunks=pending.num_rows,
        snippets=snippets,
        feature_bytes=snippets * spec.dim * np.dtype(np.float16).itemsize,
        sample=sample,
        decoders=decoders,
        actors=actors,
        store=config.store,
    )


def _parallelism(config: ExtractConfig) -> tuple[int, int]:
    """(decoding tasks, backbone actors) that fit into this Ray at once, at least one of each."""
    there = ray.cluster_resources()
    cpus, gpus = there.get("CPU", 1.0), there.get("GPU", 0.0)
    fitting = [config.embed.max_actors, cpus // config.embed.cpus]
    if config.embed.gpus:
        fitting.append(gpus // config.embed.gpus)
    actors = max(1, int(min(fitting)))
    return max(1, int((cpus - actors * config.embed.cpus) // config.decode.cpus)), actors


def _measure(
    config: ExtractConfig, spec: FeatureSpec, decoder: ChunkDecoder, pending: pa.Table
) -> StageTimes | None:
    """The times of a few chunks from all over the plan."""
    if not pending.num_rows:
        return None
    places = np.unique(np.linspace(0, pending.num_rows - 1, _SAMPLED_CHUNKS).astype(int))
    logger.info("measuring %d chunks", len(places))
    embed = config.embed
    task = _time_stages.options(num_cpus=max(config.decode.cpus, embed.cpus), num_gpus=embed.gpus)
    return ray.get(task.remote(config, spec, decoder, pending.take(places)))


@ray.remote
def _time_stages(
    config: ExtractConfig, spec: FeatureSpec, decoder: ChunkDecoder, rows: pa.Table
) -> StageTimes | None:
    embedder = ChunkEmbedder(*embedder_arguments(config, spec))
    warm_up = list(decoder(rows.slice(0, 1)))
    embedder(warm_up[0])
    started = time.perf_counter()
    frames = pa.concat_tables(list(decoder(rows)))
    decoded = time.perf_counter()
    features = embedder(frames)
    embedded = time.perf_counter()
    snippets = pc.sum(features.filter(pc.is_valid(features["features"]))["num_snippets"]).as_py()
    return StageTimes(snippets, decoded - started, embedded - decoded) if snippets else None


def _rate(seconds: float, count: int, unit: str) -> str:
    return f"{seconds:.2f} s for 1000 snippets, {count} {unit} at once"
