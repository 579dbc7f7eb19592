"""What an extraction would do and about how long it would take, found out without writing anything."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.cluster.runtime import connect
from pipeline.failures import FAILURES_SCHEMA
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.extraction.embed import ChunkEmbedder
from pipeline.features.extraction.flow_stage import flow_stage
from pipeline.features.extraction.planning import probe_all
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.signed import SignedUris, signed_uris
from pipeline.features.extraction.sizing import Size, size_of, worker_resources
from pipeline.features.extraction.stages import (
    chunk_decoder,
    decoding_limits,
    describe_remotely,
    embedder_arguments,
    sampled_offsets,
)
from pipeline.features.identity import compare
from pipeline.features.plan import without_failed
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSources, list_videos
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.summary import EXIT_OK

logger = logging.getLogger(__name__)

_SAMPLED_CHUNKS = 3
_DECODING, _FLOW, _BACKBONE = "decoding", "optical flow", "backbone"
_TASKS, _ACTORS = "tasks", "actors"


@dataclass(frozen=True)
class StageWorkers:
    """Who does a stage's work.

    Attributes:
        stage: its name.
        unit: what they are, tasks or actors. Actors keep their CPUs; tasks of all stages share the others.
        count: how many run at once on this Ray, of tasks if only this stage's are there.
    """

    stage: str
    unit: str
    count: int


@dataclass(frozen=True)
class Sample:
    """A measurement: some chunks, worked off by one worker a stage.

    Attributes:
        snippets: of these chunks.
        seconds: stage -> what it took.
    """

    snippets: int
    seconds: dict[str, float]


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
        workers: of each stage, in the order of the stages.
        sample: a measurement, or None where there was nothing to measure.
        size: what an archive like it takes, or None likewise.
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
    workers: tuple[StageWorkers, ...]
    sample: Sample | None
    size: Size | None
    store: str

    @property
    def exit_status(self) -> int:
        return EXIT_OK

    @property
    def seconds(self) -> float | None:
        """Estimated time: that of the slowest kind of actors, or of all tasks; the rest is hidden behind it."""
        if self.sample is None:
            return None
        share = self.snippets / self.sample.snippets
        times = [(w.unit, share * self.sample.seconds[w.stage] / w.count) for w in self.workers]
        tasks = sum(seconds for unit, seconds in times if unit == _TASKS)
        return max([tasks, *(seconds for unit, seconds in times if unit == _ACTORS)])

    def show(self, console: Console) -> None:
        """Print the plan."""
        table = Table(
            title=f"extract, dry run: {self.videos} videos", title_justify="left", show_header=False
        )
        table.add_row("to do", str(self.to_do))
        table.add_row("already done", str(self.already_done))
        table.add_row("failed", Text(str(sum(self.failed.values())), "bold red" if self.failed else ""))
        for kind, count in sorted(self.failed.items()):
            table.add_row(f"  {kind}", str(count))
        table.add_row("video to decode", f"{self.hours:.2f} hours in {self.chunks} chunks")
        table.add_row(
            "features to write",
            f"{self.feature_bytes / 2**20:.1f} MiB, {self.snippets} snippets, before compression",
        )
        if self.sample is not None and self.seconds is not None:
            for workers in self.workers:
                seconds = 1000 / self.sample.snippets * self.sample.seconds[workers.stage]
                text = f"{seconds:.2f} s for 1000 snippets, {workers.count} {workers.unit} at once"
                table.add_row(workers.stage, text)
            table.add_row("estimated time", f"{timedelta(seconds=round(self.seconds))} on this Ray")
        table.add_row("store", Text(f"{self.store} (nothing was written)"))
        console.print(table)
        if self.size is not None:
            console.print(_size_table(self.size))


def _size_table(size: Size) -> Table:
    """A row a stage: what all of it takes of one worker, and how many workers are done in time."""
    title = f"{size.hours:g} hours of video" + (
        f" within {size.within_hours:g} hours" if size.within_hours else ""
    )
    table = Table("stage", "worker hours", "a worker has", title=title, title_justify="left")
    if size.within_hours:
        table.add_column("workers")
    for stage in size.stages:
        has = f"{stage.cpus:g} CPU" + (f", {stage.gpus:g} GPU" if stage.gpus else "")
        row = [stage.stage, f"{stage.worker_hours:.2f}", has]
        table.add_row(*row, *([str(stage.workers)] if size.within_hours else []))
    table.add_section()
    held = f"{size.cpu_hours:.2f} CPU hours" + (f", {size.gpu_hours:.2f} GPU hours" if size.gpu_hours else "")
    table.add_row("together", held, "" if size.cost is None else f"cost {size.cost:.2f}")
    return table


def rehearse(config: ExtractConfig) -> DryRun:
    """Probe the videos that the store does not know, and time the stages on a few of the chunks to do.

    Raises InputError as the extraction would.
    """
    sources = list_videos(config.videos)
    connect(config.ray)
    spec, inputs = describe_remotely(config)
    store = _existing_store(config.store, spec)
    new = sources if store is None else _to_probe(config, store, sources)
    logger.info("%d videos in %s, %d of them new", len(sources), config.videos, len(new))
    probed = [
        (plan, failures)
        for plan, failures, _ in probe_all(
            new, spec.timeline, config.chunk_frames, decoding_limits(config), config.decode.labels
        )
    ]
    pending = pa.concat_tables([PLAN_SCHEMA.empty_table(), *(plan for plan, _ in probed)])
    failures = pa.concat_tables([FAILURES_SCHEMA.empty_table(), *(failed for _, failed in probed)])
    if store is not None:
        pending = pa.concat_tables([pending, store.pending(retry_lost=config.retry_failed)])
        failures = pa.concat_tables([failures, store.failures()])
    workers = count_workers(config, inputs, ray.cluster_resources())
    sample = _measure(config, spec, inputs, pending, signed_uris(sources))
    resources = worker_resources(config, inputs)
    return _count(config, sources, store, pending, failures, spec, workers, resources, sample)


def _existing_store(url: str, spec: FeatureSpec) -> FeatureStore | None:
    """The store, checked as for writing; None where there is none yet."""
    if not FeatureStore.is_at(url):
        return None
    return FeatureStore.create(url, spec)


def _to_probe(config: ExtractConfig, store: FeatureStore, sources: VideoSources) -> VideoSources:
    found = compare(
        store, sources, moved=config.moved, replaced=config.replace, retry_failed=config.retry_failed
    )
    new = found.new if config.retry_failed else without_failed(store, found.new)
    return new.and_also(found.replaced)


def _count(
    config: ExtractConfig,
    sources: VideoSources,
    store: FeatureStore | None,
    pending: pa.Table,
    failures: pa.Table,
    spec: FeatureSpec,
    workers: tuple[StageWorkers, ...],
    resources: tuple[tuple[float, float], ...],
    sample: Sample | None,
) -> DryRun:
    named = set(sources.video_ids.to_pylist())
    to_do = set(pending["video_id"].to_pylist()) & named
    rest = sorted(named - to_do)
    complete = np.zeros(len(rest), dtype=bool) if store is None else store.index().has_all(rest)
    done = {rest[place] for place in np.flatnonzero(complete).tolist()}
    kinds = dict(zip(failures["video_id"].to_pylist(), failures["kind"].to_pylist(), strict=True))
    snippets = pc.sum(pending["num_snippets"]).as_py() or 0
    frames = pc.multiply(pending["num_snippets"], spec.timeline.stride)
    seconds = pc.sum(pc.divide(pc.cast(frames, pa.float64()), pending["fps"])).as_py() or 0.0
    return DryRun(
        videos=len(sources),
        to_do=len(to_do),
        already_done=len(done),
        failed=dict(Counter(kinds.get(video_id, "unknown") for video_id in named - to_do - done)),
        hours=seconds / 3600,
        chunks=pending.num_rows,
        snippets=snippets,
        feature_bytes=snippets * spec.dim * np.dtype(np.float16).itemsize,
        workers=workers,
        sample=sample,
        size=None
        if sample is None
        else size_of(
            sample.seconds,
            seconds / 3600 * sample.snippets / snippets,
            seconds / 3600,
            dict(zip(sample.seconds, resources, strict=True)),
            config.size,
        ),
        store=config.store,
    )


def count_workers(config: ExtractConfig, inputs: Inputs, there: dict[str, float]) -> tuple[StageWorkers, ...]:
    """The workers of each stage on a Ray with these resources; tasks have what actors leave."""
    decode, flow, embed = config.decode, config.flow, config.embed
    raft = inputs.flow and flow.algorithm != "tvl1"
    cpus, gpus = there.get("CPU", 1.0), there.get("GPU", 0.0)
    # Room for one actor of flow.
    actors = _fitting(
        embed.max_actors, (cpus - raft * flow.cpus, embed.cpus), (gpus - raft * flow.gpus, embed.gpus)
    )
    cpus, gpus = cpus - actors * embed.cpus, gpus - actors * embed.gpus
    workers = [StageWorkers(_BACKBONE, _ACTORS, actors)]
    if raft:
        flow_actors = _fitting(flow.max_actors, (cpus, flow.cpus), (gpus, flow.gpus))
        cpus -= flow_actors * flow.cpus
        workers.append(StageWorkers(_FLOW, _ACTORS, flow_actors))
    elif inputs.flow:
        workers.append(StageWorkers(_FLOW, _TASKS, _fitting(None, (cpus, flow.cpus))))
    workers.append(StageWorkers(_DECODING, _TASKS, _fitting(None, (cpus, decode.cpus))))
    return tuple(reversed(workers))


def _fitting(limit: int | None, *needs: tuple[float, float]) -> int:
    """How many workers, at least one, fit: of each resource there is the pair (free, what one worker takes)."""
    counts = [int(free // taken) for free, taken in needs if taken]
    return max(1, min(counts if limit is None else [limit, *counts]))


def _measure(
    config: ExtractConfig, spec: FeatureSpec, inputs: Inputs, pending: pa.Table, signed: SignedUris | None
) -> Sample | None:
    """The times of a few chunks from all over the plan."""
    if not pending.num_rows:
        return None
    places = np.unique(np.linspace(0, pending.num_rows - 1, _SAMPLED_CHUNKS).astype(int))
    logger.info("measuring %d chunks", len(places))
    embed = config.embed
    flow_cpus, flow_gpus = (config.flow.cpus, config.flow.gpus) if inputs.flow else (0.0, 0.0)
    task = _time_stages.options(
        num_cpus=max(config.decode.cpus, flow_cpus, embed.cpus),
        num_gpus=max(flow_gpus, embed.gpus),
        accelerator_type=embed.accelerator_type,
        resources=embed.resources,
        label_selector=embed.labels,
    )
    return ray.get(task.remote(config, spec, inputs, pending.take(places), signed))


@ray.remote
def _time_stages(
    config: ExtractConfig, spec: FeatureSpec, inputs: Inputs, rows: pa.Table, signed: SignedUris | None
) -> Sample | None:
    """The work of each stage on these rows, after a first row that warms them up."""
    decoder = chunk_decoder(config, inputs, signed)
    stages: dict[str, Callable[[pa.Table], pa.Table]] = {
        _DECODING: lambda table: pa.concat_tables(list(decoder(table)))
    }
    if inputs.flow:
        stages[_FLOW] = flow_stage(config.flow, spec, sampled_offsets(config), inputs)
    stages[_BACKBONE] = ChunkEmbedder(*embedder_arguments(config, spec))
    seconds: dict[str, float] = {}
    for table in (rows.slice(0, 1), rows):
        for stage, work in stages.items():
            started = time.perf_counter()
            table = work(table)
            seconds[stage] = time.perf_counter() - started
    snippets = pc.sum(table.filter(pc.is_valid(table["features"]))["num_snippets"]).as_py()
    return Sample(snippets, seconds) if snippets else None
