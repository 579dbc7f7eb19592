"""Settings of prediction, and of detection without a cluster."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from pipeline.annotations.settings import TruthConfig
from pipeline.cluster.settings import ActorPool, RayConfig
from pipeline.detector.settings import MergeOverride, WindowOverride
from pipeline.naming.settings import NamingConfig, NamingOfDetections
from pipeline.segments.settings import ResultsConfig
from pipeline.settings import (
    ManyVideosUrls,
    OptionalCheckpointUrl,
    OptionalOutputFolder,
    OptionalRunUrl,
    OptionalUrl,
    OutputFolder,
    PredictionsUrl,
    Settings,
    StoreUrl,
    force,
    merge_over,
)


class VideoActors(ActorPool):
    """Resources of actors that take videos."""

    cpus: PositiveFloat = Field(1.0, description="CPUs, and threads, of an actor")
    videos_per_task: PositiveInt = Field(8, description="videos that an actor takes at once")


class DetectConfig(VideoActors):
    """Resources of the detector actors."""

    gpus: float = Field(0.0, ge=0, description="GPUs of an actor, may be a fraction")
    batch_size: PositiveInt = Field(
        32, description="windows of a video in each forward pass; part of the scores' exact bits"
    )
    mix_videos: bool = Field(
        False,
        description="let videos share a pass: faster, and the last digits of scores depend on which",
    )
    cache_mb: PositiveFloat = Field(
        1024.0, description="MiB of features that an actor reads at once; it reads longer videos by window"
    )


class DetectorChoice(Settings):
    """The detector that a command means."""

    run: OptionalRunUrl = Field(None, description="URL of the training run whose last checkpoint predicts")
    checkpoint: OptionalCheckpointUrl = Field(
        None, description="URL of the checkpoint that predicts, instead of run"
    )

    @model_validator(mode="after")
    def _names_one_checkpoint(self) -> Self:
        if (self.run is None) == (self.checkpoint is None):
            raise ValueError("give either run=<training run> or checkpoint=<folder of a checkpoint>")
        return self


class FolderWriting(Settings):
    """What every job that writes a folder of predictions is told of it."""

    results: ResultsConfig = ResultsConfig()
    merge_over: int = merge_over("folder")
    retry_failed: bool = Field(False, description="try videos again that an earlier run of the command lost")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    force: bool = force("folder")
    ray: RayConfig = RayConfig()


class DetectionSettings(Settings):
    """How a job looks at the features of videos, and what it calls what it finds."""

    windows: WindowOverride = WindowOverride()
    merge: MergeOverride = MergeOverride()
    detect: DetectConfig = DetectConfig()
    naming: NamingOfDetections = NamingOfDetections()


class PredictConfig(FolderWriting, DetectionSettings, DetectorChoice):
    """Settings of jobs/predict.py."""

    store: StoreUrl = Field(description="URL of the feature store")
    out: OutputFolder = Field(description="URL of the folder for predictions/, segments/ and results/")
    videos: tuple[str, ...] = Field(
        (), description="ids of the videos to predict, or one .txt file of them; none is all of the store"
    )
    subset: Literal["train", "test"] | None = Field(
        None, description="predict only the videos of this subset of the dataset; null is all of the store"
    )
    dataset: TruthConfig = TruthConfig()
    allow_feature_mismatch: bool = Field(
        False, description="predict even from features unlike those that the run was trained on"
    )

    @model_validator(mode="after")
    def _chooses_by_one_thing(self) -> Self:
        if self.subset is not None and self.dataset.annotations is None:
            raise ValueError("subset: of which dataset? give dataset.annotations")
        if self.subset is not None and self.videos:
            raise ValueError("give either videos or subset")
        return self


class NameConfig(FolderWriting):
    """Settings of jobs/name.py."""

    predictions: PredictionsUrl = Field(description="URL of the folder that predict wrote")
    store: StoreUrl = Field(description="URL of a feature store of the same videos whose network knows words")
    out: OutputFolder = Field(
        description="URL of the folder for the named predictions/, segments/ and results/"
    )
    naming: NamingConfig = NamingConfig()
    query: str | None = Field(
        None, description="instead of classes: a sentence, to which all segments are ranked by likeness"
    )
    top: PositiveInt = Field(50, description="segments that a query tells, the most alike")
    actors: VideoActors = VideoActors()

    @model_validator(mode="after")
    def _has_words(self) -> Self:
        if self.query is not None and self.naming.classes:
            raise ValueError("give either naming.classes or query")
        if self.query is not None and not self.query.strip():
            raise ValueError("query: says nothing")
        if self.query is None and not self.naming.classes:
            raise ValueError(
                'naming.classes: give the classes: naming.classes="high jump, pole vault", or a file of them'
            )
        return self

    @property
    def words(self) -> NamingConfig:
        """How segments are named: as `naming` says, or by their likeness to the query alone."""
        if self.query is None:
            return self.naming
        alone = {
            "classes": (self.query,),
            "templates": ("{}",),
            "probabilities": "cosine",
            "score_power": 0.0,
        }
        return self.naming.model_copy(update=alone)


class BackboneWeights(Settings):
    """Where the weights that a run's features were made with lie now; null is where they lay."""

    weights: OptionalUrl = Field(None, description="URL of the backbone's weight file")
    flow_weights: OptionalUrl = Field(None, description="URL of a two_stream backbone's second weight file")


class FlowWeights(Settings):
    """The same of the network that estimates optical flow."""

    weights: OptionalUrl = Field(None, description="URL of the weight file of RAFT")


class DetectHereConfig(DetectorChoice):
    """Settings of jobs/detect.py."""

    videos: ManyVideosUrls = Field(
        description="files, folders or globs; words without a key are such, too", min_length=1
    )
    out: OptionalOutputFolder = Field(
        None, description="URL of the folder for the results; null is results/ in the current folder"
    )
    results: ResultsConfig = ResultsConfig()
    rows: int = Field(30, ge=0, description="detections of each video on the screen, the best ones")
    windows: WindowOverride = WindowOverride()
    merge: MergeOverride = MergeOverride()
    backbone: BackboneWeights = BackboneWeights()
    flow: FlowWeights = FlowWeights()
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
