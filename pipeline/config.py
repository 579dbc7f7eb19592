"""The typed configuration of every job: the one place where YAML and the command line become objects.

Field defaults here are the defaults of the commands; `configs/` holds presets that differ from them. A
description is what `--help` prints, so it is a few words and gives the unit.
"""

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from pipeline.features.timeline import Timeline


def _anchored(url: str | None) -> str | None:
    """Make a local path absolute, so that it means the same in every process of the job."""
    if url is None or "://" in url or os.path.isabs(url):
        return url
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        raise ValueError(
            "a relative path would lie in the submitted job's temporary copy of the code; "
            "give an absolute path or a URL"
        )
    return os.path.abspath(os.path.expanduser(url))


Url = Annotated[str, AfterValidator(_anchored)]
OptionalUrl = Annotated[str | None, AfterValidator(_anchored)]


class Settings(BaseModel):
    """A frozen group of settings that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class RayConfig(Settings):
    """How a job reaches Ray; inside a running cluster only `address` counts."""

    address: str | None = Field(
        None, description="cluster to join; null joins the submitting one or starts a local one"
    )
    cpus: PositiveInt | None = Field(
        None, description="CPUs of a local Ray; null takes them all (never under 4 slots)"
    )
    object_store_mb: PositiveInt | None = Field(
        None, description="object store of a local Ray in MiB; null lets Ray choose"
    )


class TimelineConfig(Settings):
    """The time rule of the features (`pipeline/features/timeline.py`)."""

    fps: PositiveFloat | None = Field(
        None, description="resample videos to this rate; null keeps each one's average rate"
    )
    stride: PositiveInt = Field(8, description="frames between neighbouring snippets")
    window: PositiveInt = Field(8, description="frames in a snippet")

    def build(self) -> Timeline:
        return Timeline(self.fps, self.stride, self.window)


class BackboneConfig(Settings):
    """An open_clip image tower."""

    name: str = Field("clip_vit_b16", description="the name that the feature store records")
    kind: Literal["clip"] = Field("clip", description="family of the network")
    architecture: str = Field("ViT-B-16-quickgelu", description="any open_clip architecture")
    weights: str = Field("openai", description="open_clip pretrained tag, URL of a weight file, or random")
    seed: int = Field(0, description="seed of random weights")
    image_size: PositiveInt | None = Field(
        None, description="side of the input in pixels; null keeps the architecture's"
    )
    frames_per_snippet: PositiveInt = Field(
        1, description="frames sampled evenly from each snippet and averaged"
    )
    batch_size: PositiveInt = Field(
        64, description="frames in each forward pass; part of the features' exact bits"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the forward pass")


class DecodeConfig(Settings):
    """Resources of the decoding stage, and what it does with bad files."""

    cpus: PositiveFloat = Field(1.0, description="CPUs a decoding task asks Ray for")
    chunks_per_task: PositiveInt = Field(
        4, description="consecutive chunks that one task decodes from one open file"
    )
    truncated: Literal["fail", "keep"] = Field(
        "fail", description="a video that ends too early: fail it, or keep what there is as a shorter video"
    )
    timeout_s: PositiveFloat = Field(600.0, description="seconds to decode a chunk, or to probe a video")
    memory_mb: PositiveInt = Field(
        4096, description="MiB that decoding a video may take, its chunk's pictures not counted"
    )


class EmbedConfig(Settings):
    """Resources of the backbone actors."""

    cpus: PositiveFloat = Field(1.0, description="CPUs of an actor")
    gpus: float = Field(0.0, ge=0, description="GPUs of an actor, may be a fraction")
    min_actors: PositiveInt = Field(1, description="actors at the start")
    max_actors: PositiveInt = Field(1, description="actors that the pool may grow to")
    threads: PositiveInt | None = Field(None, description="CPU threads of an actor; null is its CPUs")
    chunks_per_batch: PositiveInt = Field(2, description="chunks whose frames share batches")

    @model_validator(mode="after")
    def _pool_is_possible(self) -> "EmbedConfig":
        if self.max_actors < self.min_actors:
            raise ValueError(
                f"max_actors ({self.max_actors}) must be at least min_actors ({self.min_actors})"
            )
        return self


class ExtractConfig(Settings):
    """Settings of jobs/extract.py."""

    videos: Url = Field(description="folder, glob, or Parquet/CSV/JSONL manifest with video_id, uri")
    store: Url = Field(description="URL of the feature store to write")
    backbone: BackboneConfig = BackboneConfig()
    timeline: TimelineConfig = TimelineConfig()
    chunk_frames: PositiveInt = Field(
        512, description="sampled frames in a chunk, the unit of work and of retry"
    )
    shard_mb: PositiveFloat = Field(128.0, description="aim for feature files of this many MiB")
    decode: DecodeConfig = DecodeConfig()
    embed: EmbedConfig = EmbedConfig()
    retry_failed: bool = Field(False, description="try again what earlier runs recorded as failed")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    dry_run: bool = Field(False, description="print what there is to do and how long it takes; write nothing")
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _sampling_is_possible(self) -> "ExtractConfig":
        if self.backbone.frames_per_snippet > self.timeline.window:
            raise ValueError(
                f"backbone.frames_per_snippet ({self.backbone.frames_per_snippet}) must not exceed "
                f"timeline.window ({self.timeline.window})"
            )
        if self.chunk_frames < self.timeline.window:
            raise ValueError(
                f"chunk_frames ({self.chunk_frames}) must be at least timeline.window ({self.timeline.window})"
            )
        return self


class DatasetConfig(Settings):
    """Where a dataset's truth lies and how it is read."""

    name: str = Field("custom", description="name of the dataset, which names the protocol in metrics.json")
    format: Literal["activitynet"] = Field("activitynet", description="layout of the annotation file")
    annotations: Url = Field(description="URL of the published annotation file")
    train_subset: str = Field("train", description="subset to train on")
    test_subset: str = Field("test", description="subset to validate, predict and evaluate on")


class WindowConfig(Settings):
    """How videos are cut into a detector's windows, in snippets."""

    length: PositiveInt = Field(128, description="snippets in a window")
    train_step: PositiveInt = Field(32, description="snippets between training windows")
    test_step: PositiveInt = Field(96, description="snippets between test windows")
    min_visible: float = Field(
        0.75, gt=0, le=1, description="part of an action that a training window must show"
    )
    keep_empty: bool = Field(False, description="train on windows without any action, too")

    @model_validator(mode="after")
    def _windows_leave_no_gap(self) -> "WindowConfig":
        for name in ("train_step", "test_step"):
            if getattr(self, name) > self.length:
                raise ValueError(
                    f"windows.{name} ({getattr(self, name)}) must not exceed windows.length ({self.length})"
                )
        return self


class MergeConfig(Settings):
    """How the detections of overlapping windows become those of their video."""

    window_top_k: PositiveInt = Field(100, description="best detections taken from each window")
    video_top_k: int = Field(0, ge=0, description="best detections kept of each video; 0 keeps all")
    nms_tiou: float = Field(
        0.4,
        gt=0,
        le=1,
        description="of detections of different windows with more tIoU the best stays; 1 keeps all",
    )
    across_classes: bool = Field(False, description="let detections of different classes suppress each other")


class OptimiserConfig(Settings):
    """AdamW with parameter groups and a step schedule."""

    lr: PositiveFloat = Field(1e-4, description="learning rate")
    slow_factor: PositiveFloat = Field(
        0.1, description="factor on lr for reference points and sampling offsets"
    )
    weight_decay: float = Field(1e-4, ge=0, description="AdamW's weight decay")
    epochs: PositiveInt = Field(35, description="passes over the training windows")
    drop_epochs: tuple[PositiveInt, ...] = Field(
        (30,), description="epochs after which lr is multiplied by drop_factor"
    )
    drop_factor: PositiveFloat = Field(0.1, description="factor on lr at each drop")
    warmup_steps: int = Field(0, ge=0, description="steps over which lr rises linearly from 0")
    clip_norm: PositiveFloat | None = Field(0.1, description="clip the gradient's norm; null does not")
    batch_size: PositiveInt = Field(16, description="windows in a step, over all workers")


class TrainConfig(Settings):
    """Settings of jobs/train.py."""

    run: Url = Field(description="URL of the folder for checkpoints, metrics and the resolved config")
    store: Url = Field(description="URL of the feature store to train on")
    dataset: DatasetConfig
    model: dict[str, Any] = Field(description="a detector and its hyper-parameters (configs/model)")
    loss: dict[str, Any] = Field(description="weights of matching and loss (configs/model)")
    class_agnostic: bool = Field(
        False, description="train one foreground class instead of the dataset's labels"
    )
    normalise: Literal["none", "standardise"] = Field(
        "none",
        description="standardise: each feature dimension to mean 0, deviation 1 over the training videos",
    )
    windows: WindowConfig = WindowConfig()
    merge: MergeConfig = MergeConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the forward pass")
    seed: int = Field(42, ge=0, description="seed of initialisation, dropout and the order of windows")
    workers: PositiveInt = Field(1, description="training processes")
    cpus_per_worker: PositiveFloat = Field(1.0, description="CPUs, and threads, of a worker")
    gpus_per_worker: float = Field(0.0, ge=0, description="GPUs of a worker; 0 trains on CPUs with gloo")
    cache_mb: PositiveFloat = Field(
        4096.0, description="MiB of features that a worker keeps in memory; it reads the rest each epoch"
    )
    validate_every: int = Field(5, ge=0, description="epochs between validations; 0 never validates")
    checkpoint_every: PositiveInt = Field(1, description="epochs between checkpoints")
    keep_checkpoints: PositiveInt = Field(1, description="best checkpoints to keep beside the last one")
    max_failures: int = Field(
        3, ge=0, description="times to start again from the last checkpoint when workers die"
    )
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _each_worker_has_a_window(self) -> "TrainConfig":
        if self.optimiser.batch_size < self.workers:
            raise ValueError(
                f"workers ({self.workers}) must not exceed optimiser.batch_size ({self.optimiser.batch_size})"
            )
        return self


class DetectConfig(Settings):
    """Resources of the detector actors."""

    cpus: PositiveFloat = Field(1.0, description="CPUs, and threads, of an actor")
    gpus: float = Field(0.0, ge=0, description="GPUs of an actor, may be a fraction")
    min_actors: PositiveInt = Field(1, description="actors at the start")
    max_actors: PositiveInt = Field(1, description="actors that the pool may grow to")
    videos_per_task: PositiveInt = Field(8, description="videos that an actor takes at once")
    batch_size: PositiveInt = Field(32, description="windows in each forward pass, of any of these videos")
    cache_mb: PositiveFloat = Field(
        1024.0, description="MiB of features that an actor reads at once; it reads longer videos by window"
    )

    @model_validator(mode="after")
    def _pool_is_possible(self) -> "DetectConfig":
        if self.max_actors < self.min_actors:
            raise ValueError(
                f"max_actors ({self.max_actors}) must be at least min_actors ({self.min_actors})"
            )
        return self


class MergeOverride(Settings):
    """Changes to the run's own `merge` settings; null keeps each as it was trained."""

    window_top_k: PositiveInt | None = Field(None, description="best detections taken from each window")
    video_top_k: int | None = Field(None, ge=0, description="best detections kept of each video; 0 keeps all")
    nms_tiou: float | None = Field(
        None,
        gt=0,
        le=1,
        description="of detections of different windows with more tIoU the best stays; 1 keeps all",
    )
    across_classes: bool | None = Field(
        None, description="let detections of different classes suppress each other"
    )

    def apply(self, merge: MergeConfig) -> MergeConfig:
        return MergeConfig.model_validate(merge.model_dump() | self.model_dump(exclude_none=True))


class PredictConfig(Settings):
    """Settings of jobs/predict.py."""

    run: str | None = Field(None, description="URL of the training run whose last checkpoint predicts")
    checkpoint: OptionalUrl = Field(None, description="URL of the checkpoint that predicts, instead of run")
    store: Url = Field(description="URL of the feature store")
    out: Url = Field(description="URL of the folder for predictions/ and segments/")
    merge: MergeOverride = MergeOverride()
    detect: DetectConfig = DetectConfig()
    allow_feature_mismatch: bool = Field(
        False, description="predict even from features unlike those that the run was trained on"
    )
    retry_failed: bool = Field(False, description="try videos again that an earlier run of the command lost")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _names_one_checkpoint(self) -> "PredictConfig":
        if (self.run is None) == (self.checkpoint is None):
            raise ValueError("give either run=<training run> or checkpoint=<folder of a checkpoint>")
        return self


class EvaluateConfig(Settings):
    """Settings of jobs/evaluate.py."""

    predictions: Url = Field(description="URL of a predict output folder or of a Parquet file of segments")
    dataset: DatasetConfig
    thresholds: tuple[float, ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), min_length=1, description="rising tIoU thresholds"
    )
    union_epsilon: float = Field(1e-4, ge=0, description="added to the union in tIoU (PointTAD's protocol)")
    out: OptionalUrl = Field(None, description="URL of metrics.json; null writes it beside the predictions")


class DemoConfig(Settings):
    """Settings of jobs/demo.py."""

    out: Url = Field("demo_out", description="folder for everything that the demo makes")
    fresh: bool = Field(False, description="start over instead of continuing")
    seed: int = Field(0, description="seed of the archive")
    train_videos: PositiveInt = Field(24, description="videos to train on")
    test_videos: PositiveInt = Field(8, description="videos to test on")
    words: tuple[str, ...] = Field((), description="further key=value words for the training")
    ray: RayConfig = RayConfig()
