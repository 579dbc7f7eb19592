"""A trained detector and what made its features, in this process: videos in, segments out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import torch

from pipeline.cluster.device import given_device
from pipeline.detector.checkpoint import CheckpointInfo
from pipeline.detector.detect import detect_videos
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.settings import MergeConfig, MergeOverride, WindowConfig, WindowOverride
from pipeline.detector.trained import (
    TrainedDetector,
    check_features,
    find_checkpoint,
    load_trained,
    windows_for_prediction,
)
from pipeline.errors import InputError
from pipeline.failures import Failure, FailureKind
from pipeline.features.extraction.here import LocalExtractor
from pipeline.features.extraction.settings import StagesConfig
from pipeline.features.extraction.stages import describe
from pipeline.features.index import IndexedVideos
from pipeline.features.sources import VideoSource
from pipeline.features.store import FeatureStore
from pipeline.features.video_features import VideoFeatures
from pipeline.inference.remade import check_remade, recipe_here
from pipeline.inference.settings import BackboneWeights, FlowWeights
from pipeline.segments.tables import segments_table

_CACHE_MB = 1024.0
_BATCH_SIZE = 32


class VideoLostError(InputError):
    """Nothing can be detected in a video.

    Attributes:
        failure: why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.uri}: {failure.message} ({failure.kind})")
        self.failure = failure


@dataclass
class VideoDetector:
    """A detector with its settings; its backbone is loaded with the first video.

    Attributes:
        trained: the detector.
        windows, merge: how it is applied.
        backbone, flow: where the weights lie that made the features.
        device: where all networks compute.
    """

    trained: TrainedDetector
    windows: WindowConfig
    merge: MergeConfig
    backbone: BackboneWeights
    flow: FlowWeights
    device: torch.device
    _extractor: LocalExtractor | None = None

    @classmethod
    def load(
        cls,
        run: str | None,
        checkpoint: str | None = None,
        *,
        windows: WindowOverride | None = None,
        merge: MergeOverride | None = None,
        backbone: BackboneWeights | None = None,
        flow: FlowWeights | None = None,
    ) -> "VideoDetector":
        """The detector of a run's last checkpoint, or of `checkpoint`, on the GPU where there is one.

        Raises InputError where there is none, or the settings do not fit it.
        """
        info = find_checkpoint(run, checkpoint)
        device = given_device()
        trained = load_trained(info.url, device)
        return cls(
            trained,
            windows_for_prediction(trained.config, windows or WindowOverride()),
            (merge or MergeOverride()).apply(trained.config.merge),
            backbone or BackboneWeights(),
            flow or FlowWeights(),
            device,
        )

    @property
    def info(self) -> CheckpointInfo:
        """What the checkpoint says of itself."""
        return self.trained.info

    def load_backbone(self) -> None:
        """Load what makes features of videos, once.

        Raises InputError where nobody knows how such features are made, or the weights are others now.
        """
        if self._extractor is not None:
            return
        recipe = recipe_here(self.info, self.backbone, self.flow)
        stages = StagesConfig(backbone=recipe.backbone, flow=recipe.flow, timeline=recipe.timeline)
        spec, inputs = describe(stages)
        check_remade(self.info, spec)
        self._extractor = LocalExtractor.load(stages, spec, inputs)

    def detect(self, source: VideoSource, went_on: Callable[[float, float], None] | None = None) -> pa.Table:
        """The segments of a video, a table of `SEGMENTS_SCHEMA`, best first.

        Args:
            source: the video.
            went_on: is told the seconds of video whose features are made, and those of the whole.
        Raises:
            VideoLostError: the video cannot be read, or not to its end.
            InputError: as `load_backbone` does.
        """
        self.load_backbone()
        assert self._extractor is not None
        with TemporaryDirectory(prefix="raytad-features-") as folder:
            store = self._extractor.extract(f"{folder}/store", source, went_on)
            failure = _failure_of(store, source.video_id)
            if failure is not None:
                raise VideoLostError(failure)
            return self._detect(store, list(store.index().values()))

    def detect_stored(self, store: FeatureStore) -> pa.Table:
        """The segments of all complete videos of a store, by video, best first.

        Raises InputError where its features are others than the detector's.
        """
        check_features(self.info, store.spec, store.url, insist=False)
        index = store.index()
        return self._detect(store, IndexedVideos(index, np.flatnonzero(index.complete)))

    def _detect(self, store: FeatureStore, videos: Sequence[VideoFeatures]) -> pa.Table:
        found = detect_videos(
            self.trained.detector,
            videos,
            FeatureCache(store, _CACHE_MB),
            windows=self.windows,
            merge=self.merge,
            batch_size=_BATCH_SIZE,
            device=self.device,
        )
        return segments_table(((video.video_id, detections) for video, detections in found), self.info.labels)


def _failure_of(store: FeatureStore, video_id: str) -> Failure | None:
    """Why a store's only video is not complete; None where it is."""
    video = store.index().get(video_id)
    if video is not None:
        return None if video.complete else video.failure
    row = store.failures().to_pylist()[0]
    return Failure(row["video_id"], row["uri"], row["stage"], FailureKind(row["kind"]), row["message"])
