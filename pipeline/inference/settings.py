"""Settings of prediction."""

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from pipeline.cluster.settings import ActorPool, RayConfig
from pipeline.detector.settings import MergeOverride, WindowOverride
from pipeline.segments.settings import ResultsConfig
from pipeline.settings import OptionalUrl, OutputFolder, Settings, Url, force


class DetectConfig(ActorPool):
    """Resources of the detector actors."""

    cpus: PositiveFloat = Field(1.0, description="CPUs, and threads, of an actor")
    gpus: float = Field(0.0, ge=0, description="GPUs of an actor, may be a fraction")
    videos_per_task: PositiveInt = Field(8, description="videos that an actor takes at once")
    batch_size: PositiveInt = Field(32, description="windows in each forward pass, of any of these videos")
    cache_mb: PositiveFloat = Field(
        1024.0, description="MiB of features that an actor reads at once; it reads longer videos by window"
    )


class PredictConfig(Settings):
    """Settings of jobs/predict.py."""

    run: OptionalUrl = Field(None, description="URL of the training run whose last checkpoint predicts")
    checkpoint: OptionalUrl = Field(None, description="URL of the checkpoint that predicts, instead of run")
    store: Url = Field(description="URL of the feature store")
    out: OutputFolder = Field(description="URL of the folder for predictions/, segments/ and results/")
    windows: WindowOverride = WindowOverride()
    merge: MergeOverride = MergeOverride()
    detect: DetectConfig = DetectConfig()
    results: ResultsConfig = ResultsConfig()
    allow_feature_mismatch: bool = Field(
        False, description="predict even from features unlike those that the run was trained on"
    )
    retry_failed: bool = Field(False, description="try videos again that an earlier run of the command lost")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    force: bool = force("folder")
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _names_one_checkpoint(self) -> "PredictConfig":
        if (self.run is None) == (self.checkpoint is None):
            raise ValueError("give either run=<training run> or checkpoint=<folder of a checkpoint>")
        return self
