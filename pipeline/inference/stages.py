"""What is done with the features of videos, one stage after the other: detection, and naming by words."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Protocol

import numpy as np
import ray

from pipeline.cluster.needs import Need
from pipeline.detector.checkpoint import CheckpointInfo, copy_to_predict
from pipeline.detector.settings import MergeOverride, WindowConfig, WindowOverride
from pipeline.detector.trained import settings_of, windows_for_prediction
from pipeline.failures import Failure, FailureKind, split_error
from pipeline.features.index import StoreIndex
from pipeline.features.places import places_of
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.video_features import VideoFeatures
from pipeline.inference.detector_actor import DetectorActor
from pipeline.inference.graph import fill_predictions, need_of
from pipeline.inference.output import PredictionFolder, Provenance
from pipeline.inference.settings import DetectConfig, VideoActors
from pipeline.inference.standing import standing
from pipeline.naming.settings import NamingConfig, NamingOfDetections
from pipeline.naming.stage import NamingActor
from pipeline.naming.words import TextSource, Words, embed, text_source
from pipeline.progress import Counting
from pipeline.screen import phase

logger = logging.getLogger(__name__)

PROPOSALS = "proposals"  # of a folder whose segments are named, the detector's own
_WORDS = "words.safetensors"
# Of the settings, those that the digest of the words tells of, and where features lie, which their digest does.
_IN_WORDS = {"classes", "templates", "split_names", "none_of_these", "architecture", "weights", "store"}


class Stage(Protocol):
    """Fills a prediction folder with a row for each video."""

    @property
    def job(self) -> str:
        """The verb that does this alone."""
        ...

    @property
    def out(self) -> PredictionFolder: ...

    def needs(self) -> list[Need]:
        """What it asks of a node at its start."""
        ...

    def prepare(self) -> None:
        """Load in the driver what tells whether the settings can be used. Raises InputError where they cannot."""
        ...

    def features_of(self, videos: StoreIndex) -> StoreIndex:
        """The index of those of these complete videos whose features this stage can read."""
        ...

    def fill(
        self,
        store: str,
        index: StoreIndex,
        pending: StoreIndex,
        progress: Counting | None = None,
    ) -> None:
        """Do `pending`, of the videos `index` that the folder is to have."""
        ...


@dataclass(frozen=True)
class Detection:
    """Segments by a trained detector.

    Attributes:
        info: its checkpoint.
        windows: how it looks at videos.
        config: its actors.
        out: the folder.
    """

    info: CheckpointInfo
    windows: WindowConfig
    config: DetectConfig
    out: PredictionFolder
    job: str = "predict"

    @classmethod
    def into(
        cls,
        url: str,
        info: CheckpointInfo,
        feature_digest: str,
        windows: WindowOverride,
        merge: MergeOverride,
        config: DetectConfig,
    ) -> "Detection":
        """The stage that writes into the folder at `url`, with a command's changes to how the run looks at videos.

        Raises InputError where these do not fit the run, or the folder holds other predictions.
        """
        trained = settings_of(info)
        chosen = windows_for_prediction(trained, windows)
        provenance = Provenance(
            checkpoint=info.url,
            checkpoint_digest=info.digest,
            feature_digest=feature_digest,
            window_length=chosen.length,
            window_step=chosen.test_step,
            window_last=chosen.test_last if chosen.test_last != trained.windows.test_last else None,
            merge=merge.apply(trained.merge),
        )
        return cls(info, chosen, config, PredictionFolder(url, provenance))

    def needs(self) -> list[Need]:
        return [need_of(self.config, "detect", self.config.gpus)]

    def prepare(self) -> None:
        # A training that goes on deletes old checkpoints, and actors start at any time.
        copy_to_predict(self.info, self.out.folder("detector"))

    def features_of(self, videos: StoreIndex) -> StoreIndex:
        return videos

    def fill(
        self,
        store: str,
        index: StoreIndex,
        pending: StoreIndex,
        progress: Counting | None = None,
    ) -> None:
        out, merge = self.out, self.out.provenance.merge
        out.write_plan(places_of(pending))
        arguments = (out.folder("detector"), store, self.windows, merge, self.config)
        fill_predictions(
            out, out.folder("plan"), DetectorActor, arguments, self.config, index=index, pending=pending,
            detections=merge.window_top_k, gpus=self.config.gpus, progress=progress,
        )  # fmt: skip


@dataclass(frozen=True)
class Naming:
    """Names from words for the segments of another folder.

    Attributes:
        given: that folder.
        source: the words.
        config: how segments are named.
        actors: who names them.
        actors_key: of their settings.
        out: the folder.
        store: the features that the words belong to, where these are others than the detector's.
    """

    given: PredictionFolder
    source: TextSource
    config: NamingConfig
    actors: VideoActors
    actors_key: str
    out: PredictionFolder
    store: FeatureStore | None = None
    job: str = "name"

    @classmethod
    def into(
        cls,
        url: str,
        given: PredictionFolder,
        source: TextSource,
        feature_digest: str,
        config: NamingConfig,
        actors: VideoActors,
        actors_key: str,
        store: FeatureStore | None = None,
    ) -> "Naming":
        """The stage that writes into the folder at `url`. Raises InputError where it holds other predictions."""
        told = {"words": source.digest, "features": feature_digest} | config.model_dump(exclude=_IN_WORDS)
        out = PredictionFolder(url, replace(given.provenance, naming=told))
        return cls(given, source, config, actors, actors_key, out, store)

    def needs(self) -> list[Need]:
        return [need_of(self.actors, self.actors_key)]

    def prepare(self) -> None:
        self._words()

    def features_of(self, videos: StoreIndex) -> StoreIndex:
        if self.store is None:
            return videos
        index = self.store.index()
        rows = index.find(videos.videos["video_id"])
        rows = rows[rows >= 0]
        return index.only(np.sort(rows[index.complete[rows]]))

    def fill(
        self,
        store: str,
        index: StoreIndex,
        pending: StoreIndex,
        progress: Counting | None = None,
    ) -> None:
        url = store if self.store is None else self.store.url
        arguments = (url, ray.put(pending), self._words(), self.config)
        files = self.given.files_of(pending.videos["video_id"])  # a round of label has some of many
        fill_predictions(
            self.out, files, NamingActor, arguments, self.actors, index=index,
            pending=pending, detections=self.config.top_k, progress=progress,
            makes="names",
        )  # fmt: skip

    def _words(self) -> Words:
        with phase("reading the words"):
            return embed(self.source, self.config.probabilities == "sigmoid", self.out.folder(_WORDS))


@dataclass(frozen=True)
class ChosenWords:
    """What names the segments of a command that detects.

    Attributes:
        source: the words.
        store: the features that they belong to, where these are others than the detector's.
    """

    source: TextSource
    store: FeatureStore | None

    def stage(
        self, url: str, given: PredictionFolder, spec: FeatureSpec, config: NamingConfig, actors: VideoActors
    ) -> Naming:
        """The stage that writes the segments of `given`, named, into the folder at `url`; `spec` is the detector's."""
        digest = spec.digest if self.store is None else self.store.spec.digest
        return Naming.into(url, given, self.source, digest, config, actors, "detect", self.store)


def words_of(config: NamingOfDetections, store: FeatureStore) -> ChosenWords:
    """The words that a command names by, whose detector reads `store`. Raises InputError as `text_source` does."""
    other = FeatureStore(config.store) if config.store else None
    return ChosenWords(text_source(other or store, config), other)


def undone(stages: Sequence[Stage], index: StoreIndex, retry_failed: bool) -> np.ndarray:
    """Which videos of an index, `[V]` bool, have not come to the end of the stages and were lost in none of them."""
    left = before = np.ones(len(index), dtype=bool)
    for stage in stages:
        done, lost = standing(index, stage.out.outcomes())
        left = left & ~(lost & (not retry_failed))
        if stage is not stages[0]:
            left &= ~before | done | _has_features(stage, index)
        before = done
    return left & ~before


def run_stages(
    stages: Sequence[Stage],
    store: str,
    index: StoreIndex,
    wanted: np.ndarray,
    *,
    retry_failed: bool,
    progress: Sequence[Counting | None] = (),
) -> None:
    """Take videos through all stages; each stage does what the one before it has not lost, and each video once.

    Args:
        stages: prepared.
        store: URL of their features.
        index: of it.
        wanted: which of its videos, `[V]` bool, all of them complete.
        retry_failed: try again those that a stage has lost.
        progress: what the screen shows of each stage; without it, of all these videos.
    """
    for stage, line in zip_longest(stages, progress):
        usable = stage.features_of(index.only(np.flatnonzero(wanted)))
        done, lost = standing(usable, stage.out.outcomes())
        todo = ~done & (~lost | retry_failed)
        pending = usable.only(np.flatnonzero(todo))
        if len(pending):
            stage.fill(store, usable, pending, line)
        wanted = wanted & standing(index, stage.out.outcomes())[0]


def lost_in(stages: Sequence[Stage], index: StoreIndex) -> list[Failure]:
    """The complete or once complete videos of an index that some stage has lost, or has no features for, by id."""
    found: dict[str, Failure] = {}
    there = np.ones(len(index), dtype=bool)
    for stage in stages:
        outcomes = stage.out.outcomes()
        bad = outcomes.filter(outcomes["error"].is_valid())
        for video_id, error in zip(bad["video_id"].to_pylist(), bad["error"].to_pylist(), strict=True):
            if (video := index.get(video_id)) is not None:
                found.setdefault(video_id, Failure(video_id, video.uri, stage.job, *split_error(error)))
        done, lost = standing(index, outcomes)
        if stage is not stages[0]:
            for video_id in index.ids(there & ~done & ~lost & ~_has_features(stage, index)).to_pylist():
                found.setdefault(video_id, _without_features(index[video_id], stage))
        there &= done
    return sorted(found.values(), key=lambda failure: failure.video_id)


def _has_features(stage: Stage, index: StoreIndex) -> np.ndarray:
    """For which videos of an index, `[V]` bool, a stage can read features once they are complete."""
    return stage.features_of(index).find(index.videos["video_id"]) >= 0


def _without_features(video: VideoFeatures, stage: Stage) -> Failure:
    message = "the store has no features of it, or not all"
    return Failure(video.video_id, video.uri, stage.job, FailureKind.MISSING_FEATURES, message)
