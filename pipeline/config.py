"""The typed configuration of every job: the one place where YAML and the command line become objects.

Field defaults here are the defaults of the commands; `configs/` holds presets that differ from them. A
description is what `--help` prints, so it is a few words and gives the unit.
"""

import itertools
import os
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from pipeline.features.timeline import Timeline


def _anchored(url: str | None) -> str | None:
    """Make a local path absolute, at the end of a chain too, so that it means the same in every process of the job."""
    if url is None:
        return None
    chain, link, url = url.rpartition("::")
    if link:
        return f"{chain}::{_anchored(url)}"
    if "://" in url or os.path.isabs(url):
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


def _force(folder: str) -> Any:
    return Field(
        False, description=f"take the {folder} over from a job that is writing into it, which then stops"
    )


class RayConfig(Settings):
    """How a job reaches Ray; inside a running cluster only `address` counts."""

    address: str | None = Field(
        None, description="Ray to join; null joins the one it was submitted to or starts a local one"
    )
    cpus: PositiveInt | None = Field(
        None, description="slots for CPUs of a local Ray; null takes all CPUs; never under 4"
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
    """A feature network: an image network (of open_clip or torchvision) or a video network (of torchvision, or I3D)."""

    name: str = Field("clip_vit_b16", description="the name that the feature store records")
    kind: Literal["clip", "i3d", "torchvision"] = Field("clip", description="family of the network")
    architecture: str = Field(
        "ViT-B-16-quickgelu", description="any of the family's architectures; inception_v1 for i3d"
    )
    weights: str = Field("openai", description="pretrained tag, URL of a weight file, or random")
    streams: Literal["rgb", "flow", "two_stream"] = Field("rgb", description="what an i3d sees")
    flow_weights: str | None = Field(
        None, description="weights of a two_stream i3d's flow network, as `weights` are the rgb network's"
    )
    seed: int = Field(0, description="seed of random weights")
    image_size: PositiveInt | None = Field(
        None, description="side of the input in pixels; null keeps the architecture's"
    )
    resize: Literal["fast", "exact"] = Field(
        "fast", description="exact resizes to the bit as PIL does, fast while decoding (docs/backbones.md)"
    )
    frames_per_snippet: PositiveInt = Field(
        1, description="frames sampled evenly from each snippet: averaged, or one clip of a video network"
    )
    batch_size: PositiveInt = Field(
        64, description="frames, or clips, in each forward pass; part of the features' exact bits"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="arithmetic of the forward pass")
    compile: bool = Field(False, description="torch.compile the network; the first batch takes minutes")

    @model_validator(mode="after")
    def _keys_belong_to_the_kind(self) -> "BackboneConfig":
        if self.kind != "i3d" and self.streams != "rgb":
            raise ValueError(f"streams ({self.streams}) is for kind=i3d; a {self.kind} network sees rgb")
        if self.kind == "i3d" and self.architecture != "inception_v1":
            raise ValueError(f"architecture ({self.architecture}) must be inception_v1 for kind=i3d")
        if (self.streams == "two_stream") != (self.flow_weights is not None):
            raise ValueError(
                "flow_weights names the second network of kind=i3d, streams=two_stream: it needs one, "
                "and nothing else has one (the network of streams=flow is given by weights)"
            )
        return self


class FlowConfig(Settings):
    """Optical flow: how it is computed, and with what, for backbones that see it."""

    algorithm: Literal["tvl1", "raft_large", "raft_small"] = Field(
        "tvl1", description="TV-L1 by OpenCV on CPUs (extra `flow`), or torchvision's RAFT"
    )
    weights: str = Field("DEFAULT", description="RAFT: torchvision tag, URL of a weight file, or random")
    seed: int = Field(0, description="RAFT: seed of random weights")
    updates: PositiveInt = Field(20, description="RAFT: recurrent updates of a field")
    rounding: bool = Field(True, description="round to 8 bits, as flow was published in pictures")
    batch_size: PositiveInt = Field(
        8, description="RAFT: fields in each forward pass; part of the features' exact bits"
    )
    cpus: PositiveFloat = Field(1.0, description="CPUs, and threads, of a task or an actor")
    gpus: float = Field(0.0, ge=0, description="RAFT: GPUs of an actor, may be a fraction")
    resources: dict[str, float] | None = Field(
        None, description="custom Ray resources that a task or an actor asks for, {name: amount}"
    )
    min_actors: PositiveInt = Field(1, description="RAFT: actors at the start")
    max_actors: PositiveInt = Field(1, description="RAFT: actors that the pool may grow to")

    @model_validator(mode="after")
    def _pool_is_possible(self) -> "FlowConfig":
        if self.max_actors < self.min_actors:
            raise ValueError(
                f"max_actors ({self.max_actors}) must be at least min_actors ({self.min_actors})"
            )
        return self


class DecodeConfig(Settings):
    """Resources of the decoding stage, and what it does with bad files."""

    cpus: PositiveFloat = Field(1.0, description="CPUs a decoding task asks Ray for")
    resources: dict[str, float] | None = Field(
        None, description="custom Ray resources that a task asks for, {name: amount}"
    )
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
    accelerator_type: str | None = Field(
        None, description="kind of GPU, by Ray's name for it, such as A100; null takes any"
    )
    resources: dict[str, float] | None = Field(
        None, description="custom Ray resources that an actor asks for, {name: amount}"
    )
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
    flow: FlowConfig = FlowConfig()
    embed: EmbedConfig = EmbedConfig()
    moved: bool = Field(
        False, description="let files that the store knows be elsewhere, if they are unchanged"
    )
    replace: bool = Field(False, description="extract again where another file stands under a known id")
    retry_failed: bool = Field(False, description="try again what earlier runs recorded as failed")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    force: bool = _force("store")
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


class ZeroShotConfig(Settings):
    """Which classes are only tested on; with neither lists nor a fraction, all are trained and tested on."""

    lists: Literal["thumos14_50", "thumos14_75", "activitynet_50", "activitynet_75"] | None = Field(
        None, description="published lists of seen and unseen classes; the number is the part seen in percent"
    )
    seen_fraction: float | None = Field(
        None, gt=0, lt=1, description="part of the classes that a generated split lets training see"
    )
    split_id: int = Field(0, ge=0, le=9, description="which of the ten splits")
    seed: int = Field(0, ge=0, description="seed of generated splits")

    @property
    def active(self) -> bool:
        return self.lists is not None or self.seen_fraction is not None

    @model_validator(mode="after")
    def _names_one_source(self) -> "ZeroShotConfig":
        if self.lists is not None and self.seen_fraction is not None:
            raise ValueError("give either zero_shot.lists or zero_shot.seen_fraction")
        return self


class DatasetConfig(Settings):
    """Where a dataset's truth lies and how it is read."""

    name: str = Field("custom", description="name of the dataset, which names the protocol in metrics.json")
    format: Literal["activitynet", "actions", "charades_csv", "tsu"] = Field(
        "activitynet", description="layout of the annotation file"
    )
    annotations: Url = Field(description="URL of the published annotation file, or a glob of several")
    classes: OptionalUrl = Field(None, description="URL of the class list that names number labels")
    train_subset: str = Field("train", description="subset to train on")
    test_subset: str = Field("test", description="subset to validate, predict and evaluate on")
    id_prefix: str = Field(
        "", description="begin ids of the file with this, as feature files do, if not all do"
    )
    exclude: tuple[str, ...] = Field((), description="ids of videos left out of testing")
    min_seconds: float = Field(0.0, ge=0, description="leave out instances that are not longer, in seconds")
    fps: PositiveFloat = Field(20.0, description="frames per second of files that count frames (format tsu)")
    zero_shot: ZeroShotConfig = ZeroShotConfig()

    @model_validator(mode="after")
    def _tests_what_it_does_not_train_on(self) -> "DatasetConfig":
        if self.zero_shot.active and self.train_subset == self.test_subset:
            raise ValueError(
                f"with dataset.zero_shot, train_subset and test_subset must differ, not both be {self.test_subset}"
            )
        return self


class WindowConfig(Settings):
    """How videos are cut into a detector's windows, in snippets."""

    mode: Literal["sliding", "whole", "rescale"] = Field(
        "sliding", description="sliding windows; or a video at a time: as it is, or rescaled to length"
    )
    length: PositiveInt = Field(128, description="snippets in a window; without meaning for mode=whole")
    train_step: PositiveInt = Field(
        32, description="snippets between training windows; 0.25 or 1.0 is a part of length (1 - overlap)"
    )
    test_step: PositiveInt = Field(
        96, description="snippets between test windows; 0.25 or 1.0 is a part of length (1 - overlap)"
    )
    train_last: Literal["shift", "pad"] = Field(
        "shift", description="last training window of a video: shifted left until full, or short and padded"
    )
    test_last: Literal["shift", "pad"] = Field("shift", description="last test window of a video, likewise")
    interpolation: Literal["nearest", "linear"] = Field(
        "nearest", description="how mode=rescale fills its rows"
    )
    min_visible: float = Field(
        0.75, gt=0, le=1, description="part of an action that a training window must show"
    )
    min_window_cover: float | None = Field(
        None,
        gt=0,
        le=1,
        description="or part of the window that the action must fill; null knows no such rule",
    )
    ends_early: bool = Field(
        False, description="let a window's [0, 1] end where its last snippet begins (released code of GAP)"
    )
    keep_empty: bool = Field(False, description="train on windows without any action, too")

    @model_validator(mode="before")
    @classmethod
    def _steps_in_snippets(cls, values: Any) -> Any:
        """Steps given as part of the window's length become snippets: 1.0 is all of it, and 1 is one snippet."""
        if not isinstance(values, dict):
            return values
        length = values.get("length", cls.model_fields["length"].default)
        known = isinstance(length, int | float) and length >= 1
        parts = {
            name: max(1, round(values[name] * length))
            for name in ("train_step", "test_step")
            if known and isinstance(values.get(name), float) and 0 < values[name] <= 1
        }
        return values | parts

    @model_validator(mode="after")
    def _windows_leave_no_gap(self) -> "WindowConfig":
        for name in ("train_step", "test_step"):
            if self.mode == "sliding" and getattr(self, name) > self.length:
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
    pyramid_lr: PositiveFloat | None = Field(
        None, description="learning rate of a temporal feature pyramid; null is lr"
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
    deduplicate: bool = Field(
        True, description="with class_agnostic, let several labels of one segment count as one action"
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
    force: bool = _force("run")
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _each_worker_has_a_window(self) -> "TrainConfig":
        if self.optimiser.batch_size < self.workers:
            raise ValueError(
                f"workers ({self.workers}) must not exceed optimiser.batch_size ({self.optimiser.batch_size})"
            )
        return self

    @model_validator(mode="after")
    def _names_no_class_that_it_has_not_seen(self) -> "TrainConfig":
        if self.dataset.zero_shot.active and not self.class_agnostic:
            raise ValueError(
                "dataset.zero_shot needs class_agnostic=true: no output stands for an unseen class"
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


class SplitsConfig(TrainConfig):
    """Settings of jobs/splits.py: those of a training run, done for each split."""

    splits: tuple[Annotated[int, Field(ge=0, le=9)], ...] = Field(
        tuple(range(10)), min_length=1, description="zero-shot splits to train, predict and evaluate"
    )
    detect: DetectConfig = DetectConfig()
    allow_failures: bool = Field(False, description="evaluate even where videos could not be predicted")


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


class WindowOverride(Settings):
    """Changes to how the run's own `windows` lie on test videos; null keeps each as it was trained.

    On the other window settings the weights depend.
    """

    test_step: PositiveInt | PositiveFloat | None = Field(
        None, description="snippets between test windows; 0.25 or 1.0 is a part of the run's windows.length"
    )
    test_last: Literal["shift", "pad"] | None = Field(
        None, description="last test window of a video: shifted left until full, or short and padded"
    )

    def apply(self, windows: WindowConfig) -> WindowConfig:
        """Raises ValidationError where the windows would leave gaps."""
        return WindowConfig.model_validate(windows.model_dump() | self.model_dump(exclude_none=True))


class PredictConfig(Settings):
    """Settings of jobs/predict.py."""

    run: OptionalUrl = Field(None, description="URL of the training run whose last checkpoint predicts")
    checkpoint: OptionalUrl = Field(None, description="URL of the checkpoint that predicts, instead of run")
    store: Url = Field(description="URL of the feature store")
    out: Url = Field(description="URL of the folder for predictions/ and segments/")
    windows: WindowOverride = WindowOverride()
    merge: MergeOverride = MergeOverride()
    detect: DetectConfig = DetectConfig()
    allow_feature_mismatch: bool = Field(
        False, description="predict even from features unlike those that the run was trained on"
    )
    retry_failed: bool = Field(False, description="try videos again that an earlier run of the command lost")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    force: bool = _force("folder")
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _names_one_checkpoint(self) -> "PredictConfig":
        if (self.run is None) == (self.checkpoint is None):
            raise ValueError("give either run=<training run> or checkpoint=<folder of a checkpoint>")
        return self


def _rising(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if values is not None and (
        not 1 <= len(values) <= 62 or any(low >= high for low, high in itertools.pairwise(values))
    ):
        raise ValueError("must be 1 to 62 rising numbers")
    return values


def _not_empty(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if values == ():
        raise ValueError("must name at least one")
    return values


ProtocolName = Literal["thumos14", "multithumos", "charades", "tsu", "activitynet", "demo", "custom"]
MetricName = Literal["det_map", "seg_map", "ar_at_an", "recall_by_length"]
Threshold = Annotated[float, Field(gt=0, le=1)]


class SegmentationOverride(Settings):
    """Changes to the protocol's seg-mAP; null keeps each."""

    fps: PositiveFloat | None = Field(None, description="frames a second from which the grid is made")
    stride: PositiveInt | None = Field(None, description="frames to a position of the grid")
    index_shift: bool | None = Field(
        None, description="let scores come one position early, as PointTAD's tool does"
    )


class EvaluateConfig(Settings):
    """Settings of jobs/evaluate.py."""

    predictions: Url = Field(
        description="URL of a predict output folder, a Parquet file or ActivityNet results (.json)"
    )
    dataset: DatasetConfig
    protocol: ProtocolName | None = Field(
        None, description="published protocol to score by; null is that of dataset.name, or else custom"
    )
    metrics: Annotated[tuple[MetricName, ...] | None, AfterValidator(_not_empty)] = Field(
        None, description="of det_map, seg_map, ar_at_an, recall_by_length; null is the protocol's"
    )
    class_agnostic: bool | None = Field(
        None, description="score without classes; null does where all predictions are labelled 'action'"
    )
    distinct_truths: bool = Field(
        False, description="without classes, count identical true segments once (papers do not)"
    )
    thresholds: Annotated[tuple[Threshold, ...] | None, AfterValidator(_rising)] = Field(
        None, description="rising tIoU thresholds of det-mAP; null is the protocol's"
    )
    union_epsilon: float | None = Field(
        None, ge=0, description="seconds added to the union in det-mAP's tIoU; null is the protocol's"
    )
    length_edges: Annotated[tuple[PositiveFloat, ...] | None, AfterValidator(_rising)] = Field(
        None, description="rising seconds between the bins of recall by length; null is the protocol's"
    )
    segmentation: SegmentationOverride = SegmentationOverride()
    results_json: OptionalUrl = Field(
        None, description="URL to write the predictions to, too, as ActivityNet results JSON"
    )
    out: OptionalUrl = Field(None, description="URL of metrics.json; null writes it beside the predictions")


class PublishedTimelineConfig(TimelineConfig):
    """The time rule of features that somebody else extracted: nothing of it may go without saying."""

    fps: PositiveFloat | None = Field(
        description="frames per second of the frames that snippets count; null is each video's own rate"
    )
    stride: PositiveInt = Field(description="frames between neighbouring snippets")
    window: PositiveInt = Field(description="frames in a snippet")


class KnownVideosConfig(DatasetConfig):
    """Annotations that, where they are given, tell what videos there are, how long and at what rate."""

    annotations: OptionalUrl = Field(  # type: ignore[assignment]
        None, description="annotation file that tells durations and rates, and which videos are missing"
    )


class ReadConfig(Settings):
    """Resources of the tasks that read published features."""

    cpus: PositiveFloat = Field(0.5, description="CPUs a reading task asks Ray for")
    chunks_per_task: PositiveInt = Field(8, description="consecutive chunks that one task reads")
    timeout_s: PositiveFloat = Field(600.0, description="seconds to look into a file, or to read a video")
    memory_mb: PositiveInt = Field(4096, description="MiB that reading a file may take")


class ImportFeaturesConfig(Settings):
    """Settings of jobs/import_features.py."""

    source: Url = Field(description="folder, glob, archive or one file of many videos: npy, npz, h5, pt")
    second_source: OptionalUrl = Field(
        None, description="features to append along the channels, such as flow after RGB"
    )
    store: Url = Field(description="URL of the feature store to write")
    name: str | None = Field(
        None,
        min_length=1,
        description="name of the network, by which stores and detectors know it; a preset has one",
    )
    layout: Literal["time_channel", "channel_time"] = Field(
        "time_channel", description="axes longer than 1: [T, C], or channel_time for [C, T]"
    )
    key: str | None = Field(None, description="name of the array in files that hold several")
    id_pattern: str = Field(
        r"[^/]+$", description="regular expression for the id in a path without suffix (its first group)"
    )
    strip_prefix: str = Field("", description="left out where an id starts with it, such as v_")
    timeline: PublishedTimelineConfig
    dataset: KnownVideosConfig = KnownVideosConfig()
    info: OptionalUrl = Field(
        None, description="JSON or table of duration, fps or frames of each video, before the annotations"
    )
    length_tolerance: int = Field(
        4, ge=0, description="snippets by which a length may differ from the duration's unremarked"
    )
    length_limit: float = Field(
        0.25, ge=0, description="part of the expected length beyond which a difference is a failure"
    )
    chunk_snippets: PositiveInt = Field(
        1024, description="snippets in a chunk, the unit of work and of retry"
    )
    shard_mb: PositiveFloat = Field(128.0, description="aim for feature files of this many MiB")
    read: ReadConfig = ReadConfig()
    moved: bool = Field(
        False, description="let files that the store knows be elsewhere, if they are unchanged"
    )
    replace: bool = Field(False, description="import again where another file stands under a known id")
    retry_failed: bool = Field(False, description="try again what earlier runs recorded as failed")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    force: bool = _force("store")
    ray: RayConfig = RayConfig()

    @field_validator("id_pattern")
    @classmethod
    def _pattern_compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"must be a regular expression ({error})") from error
        return pattern

    @model_validator(mode="after")
    def _sources_can_be_paired(self) -> "ImportFeaturesConfig":
        if self.source == self.second_source:
            raise ValueError("second_source is the same as source; give the folder of the other stream")
        return self


class ExportFeaturesConfig(Settings):
    """Settings of jobs/export_features.py."""

    store: Url = Field(description="URL of the feature store to read")
    out: Url = Field(description="URL of the folder for <video_id>.npy files")
    only: tuple[str, ...] = Field(
        (), description="ids of the videos to export, or patterns such as video_test_*; none is all"
    )
    dtype: Literal["float16", "float32"] = Field(
        "float16", description="type of the values; float16 is the store's"
    )
    cpus: PositiveFloat = Field(0.5, description="CPUs an exporting task asks Ray for")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    force: bool = _force("folder")
    ray: RayConfig = RayConfig()


class ReportConfig(Settings):
    """Settings of jobs/report.py."""

    predictions: Url = Field(
        description="URL of a predict output folder, a Parquet file or ActivityNet results (.json)"
    )
    dataset: DatasetConfig
    run: OptionalUrl = Field(None, description="URL of a TP²-DETR run, to draw what its salient heads see")
    store: OptionalUrl = Field(None, description="URL of the feature store that the run looks at")
    videos: tuple[str, ...] = Field((), description="ids of the videos to draw; none is the first by id")
    max_videos: PositiveInt = Field(8, description="videos to draw where none are named")
    out: OptionalUrl = Field(
        None, description="URL of the folder for the pictures; null is beside the predictions"
    )

    @model_validator(mode="after")
    def _salience_has_features(self) -> "ReportConfig":
        if (self.run is None) != (self.store is None):
            raise ValueError("run and store belong together: give both, or neither")
        return self


class DemoConfig(Settings):
    """Settings of jobs/demo.py."""

    out: Url = Field("demo_out", description="folder for everything that the demo makes")
    fresh: bool = Field(False, description="start over instead of continuing")
    seed: int = Field(0, description="seed of the archive")
    train_videos: PositiveInt = Field(24, description="videos to train on")
    test_videos: PositiveInt = Field(8, description="videos to test on")
    words: tuple[str, ...] = Field((), description="further key=value words for the training")
    ray: RayConfig = RayConfig()
