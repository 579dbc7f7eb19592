"""Labelling: raw video to segments in one command and one Ray, by what a run records and nothing else.

Videos go through in rounds: the features of a round are made, its segments found and named, and, unless a store keeps
them, the features deleted. So the disk holds a round of features at most, and each stage is the graph that extract,
predict and name run, with their exactly-once resume: a chunk is extracted once, a video detected on once.

<out>/extraction/   where no store is given: the plan of the videos, what was lost of them, a round's features
"""

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.compose import validate
from pipeline.detector.checkpoint import CheckpointInfo
from pipeline.detector.trained import find_checkpoint, settings_of, windows_for_prediction
from pipeline.errors import InputError
from pipeline.features.compacting import compact_if_many
from pipeline.features.extraction.graph import fill_store, stage_needs
from pipeline.features.extraction.prepared import Prepared, prepare
from pipeline.features.extraction.run import warn_if_constant
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.extraction.signed import signed_uris
from pipeline.features.failures import record_failures
from pipeline.features.identity import Comparison
from pipeline.features.plan import without_failed
from pipeline.features.recipe import Recipe
from pipeline.features.sources import VideoSources, list_videos
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.inference.remade import check_remade, recipe_here
from pipeline.inference.stages import (
    PROPOSALS,
    ChosenWords,
    Detection,
    Stage,
    run_stages,
    undone,
    words_of,
)
from pipeline.labelling.outcome import finish_runs, labelled
from pipeline.labelling.rounds import discard_features, lost_and_discarded, rounds
from pipeline.labelling.settings import LabelConfig, run_name
from pipeline.lease import hold
from pipeline.naming.words import text_source_of
from pipeline.progress import PartOfProgress, Progress
from pipeline.segments.completeness import mark_begun
from pipeline.summary import Summary

logger = logging.getLogger(__name__)

_EXTRACTION = "extraction"
# Of the work on a video, for the line of the screen: decoding and the backbone outweigh a detector on features.
_SHARE_OF_EXTRACTION = 0.9
_REMEDIES = "changed ones are labelled into another out="


@dataclass(frozen=True)
class _Job:
    """All that the rounds need.

    Attributes:
        config: of the command.
        extraction: of its features.
        sources: its videos.
        runs: the stages of each run.
    """

    config: LabelConfig
    extraction: ExtractConfig
    sources: VideoSources
    runs: Sequence[Sequence[Stage]]

    @property
    def stages(self) -> list[Stage]:
        return [stage for stages in self.runs for stage in stages]

    def todo(self, store: FeatureStore) -> np.ndarray:
        """Which videos of the store, `[V]` bool, this command has to take through some stage."""
        index, retry = store.index(), self.config.retry_failed
        ids = index.videos["video_id"]
        left = np.zeros(len(index), dtype=bool)
        for stages in self.runs:
            left |= undone(stages, index, retry)
        left &= pc.is_in(ids, value_set=self.sources.video_ids).to_numpy()
        if not retry and (lost := lost_and_discarded(store)):
            left &= ~pc.is_in(ids, value_set=pa.array(sorted(lost), pa.string())).to_numpy()
        pending = store.pending(retry)["video_id"].combine_chunks()
        return left & (index.complete | pc.is_in(ids, value_set=pending).to_numpy())

    def is_work_left(self, store: FeatureStore, found: Comparison) -> bool:
        retry = self.config.retry_failed
        new = found.new if retry else without_failed(store, found.new)
        return bool(new or found.replaced or self.todo(store).any())


def label(config: LabelConfig) -> Summary:
    """Find the actions of raw videos; the same command continues after any stop.

    Raises InputError where the runs' features cannot be made here, or another job writes into the folder.
    """
    infos = _checkpoints(config)
    for info in infos.values():
        windows_for_prediction(settings_of(info), config.windows)
    first = next(iter(infos.values()))
    recipe = recipe_here(first, config.backbone, config.flow)
    url = config.store or storage.join(config.out, _EXTRACTION)
    extraction = _extraction(config, recipe, url)
    words = _words(config, recipe, first)
    if FeatureStore.is_at(url):
        _check_store(config, first, FeatureStore(url).spec)
    sources = list_videos(config.videos)
    logger.info("%d videos in %s", len(sources), config.videos)
    folders = {name: storage.join(config.out, name) if len(infos) > 1 else config.out for name in infos}
    with ExitStack() as held:
        for folder in dict.fromkeys([config.out, *folders.values()]):
            held.enter_context(hold(folder, "out", "label", config.force))
        if config.store is not None:
            held.enter_context(hold(config.store, "store", "label", config.force))
        runs = [_stages(config, folders[name], info, words) for name, info in infos.items()]
        return _label(_Job(config, extraction, sources, runs), first)


def _checkpoints(config: LabelConfig) -> dict[str, CheckpointInfo]:
    """The checkpoint of each run by its name. Raises InputError where their features are not the same."""
    if config.checkpoint is not None:
        return {"": find_checkpoint(None, config.checkpoint)}
    infos = {run_name(run): find_checkpoint(run, None) for run in config.run}
    (one, first), *others = infos.items()
    for name, info in others:
        if differences := first.feature_spec.differences(info.feature_spec):
            raise InputError(
                f"run: {one} and {name} were trained on different features ({'; '.join(differences)}, where 'here' is "
                f"{one}); label them one after the other"
            )
    return infos


def _check_store(config: LabelConfig, info: CheckpointInfo, spec: FeatureSpec) -> None:
    """Raise InputError where features that are there already are others than the detector's."""
    if differences := info.feature_spec.differences(spec):
        key = "out" if config.store is None else "store"
        raise InputError(
            f"{key}={getattr(config, key)}: holds other features than {info.url} was trained on "
            f"({'; '.join(differences)}, where 'here' is training); give another {key}="
        )


def _extraction(config: LabelConfig, recipe: Recipe, store: str) -> ExtractConfig:
    own = {name: getattr(config, name) for name in ExtractConfig.model_fields if hasattr(config, name)}
    flow = recipe.flow.model_copy(update=config.flow.model_dump(exclude={"weights"}))
    features = {"backbone": recipe.backbone, "timeline": recipe.timeline, "flow": flow}
    return validate(ExtractConfig, own | features | {"store": store})


def _words(config: LabelConfig, recipe: Recipe, info: CheckpointInfo) -> ChosenWords | None:
    naming = config.naming
    if not naming.classes:
        return None
    if naming.store is not None:
        return words_of(naming, FeatureStore(naming.store))
    return ChosenWords(text_source_of(recipe, info.feature_spec, f"run={info.url}", naming), None)


def _stages(config: LabelConfig, out: str, info: CheckpointInfo, words: ChosenWords | None) -> list[Stage]:
    proposals = out if words is None else storage.join(out, PROPOSALS)
    spec = info.feature_spec
    detection = Detection.into(proposals, info, spec.digest, config.windows, config.merge, config.detect)
    if words is None:
        return [detection]
    return [detection, words.stage(out, detection.out, spec, config.naming, config.detect)]


def _label(job: _Job, info: CheckpointInfo) -> Summary:
    config = job.config
    for stage in job.stages:
        mark_begun(stage.out.url)
        stage.out.heal()
    before = labelled(job.runs, job.sources.video_ids)

    def check(spec: FeatureSpec) -> None:
        check_remade(info, spec)
        for stage in job.stages:
            stage.prepare()

    prepared = prepare(
        job.extraction,
        job.sources,
        [*stage_needs(job.extraction), *(need for stage in job.stages for need in stage.needs())],
        job.is_work_left,
        check,
        used=job.sources.video_ids.filter(pa.array(before)),
        remedies=_REMEDIES,
    )
    started = time.monotonic()
    worked = prepared.inputs is not None and _run_rounds(job, prepared)
    store = prepared.store
    if config.store is not None:
        compact_if_many(store, config.shard_mb, config.merge_over)
        record_failures(store, store.index(), "extract")
    else:
        discard_features(store)
    return finish_runs(config, job.runs, job.sources, store, before, worked, time.monotonic() - started)


def _run_rounds(job: _Job, prepared: Prepared) -> bool:
    """Take all videos that are left through all stages; whether there were any."""
    config, store, inputs = job.config, prepared.store, prepared.inputs
    assert inputs is not None
    index, todo = store.index(), job.todo(store)
    if config.store is None and not (todo & (index.recorded_chunks > 0)).any():
        discard_features(store)  # of a round that was killed at its very end
        index, todo = store.index(), job.todo(store)
    if not todo.any():
        return False
    signed = signed_uris(job.sources)
    parts = list(rounds(index, todo, store.spec.dim, config.round_gb * 2**30))
    hours = index.duration / 3600
    named = pc.is_in(index.videos["video_id"], value_set=job.sources.video_ids).to_numpy() | todo
    all_hours, todo_hours = float(hours[named].sum()), float(hours[todo].sum())
    progress = Progress(
        "videos", len(job.sources), done=len(job.sources) - int(todo.sum()), hours=all_hours,
        hours_done=all_hours - todo_hours,
    )  # fmt: skip
    done, done_hours = 0, 0.0
    for number, rows in enumerate(parts):
        logger.info("round %d of %d: %d videos", number + 1, len(parts), len(rows))
        ids = index.ids(rows)
        pending = store.pending(config.retry_failed)
        pending = pending.filter(pc.is_in(pending["video_id"], value_set=ids))
        if pending.num_rows:
            fill_store(
                job.extraction, store, inputs, pending, signed, shard_mb=config.shard_mb,
                progress=PartOfProgress(progress, _SHARE_OF_EXTRACTION),
            )  # fmt: skip
            store = FeatureStore(store.url)
            store.record_index()
        if number == 0:
            warn_if_constant(store, ids.to_pylist())
        _detect(job, store, ids, progress)
        done, done_hours = done + len(rows), done_hours + float(hours[rows].sum())
        progress.reached(done, done_hours, progress.gained()[2])
        if config.store is None:
            discard_features(store)
    return True


def _detect(job: _Job, store: FeatureStore, ids: pa.Array, progress: Progress) -> None:
    """Take the complete videos among `ids` through the stages of each run."""
    index = store.index()
    wanted = index.complete & pc.is_in(index.videos["video_id"], value_set=ids).to_numpy()
    share = (1 - _SHARE_OF_EXTRACTION) / len(job.stages)
    for stages in job.runs:
        lines = [PartOfProgress(progress, share) for _ in stages]
        run_stages(stages, store.url, index, wanted, retry_failed=job.config.retry_failed, progress=lines)
        for stage in stages:
            stage.out.write_segments()
