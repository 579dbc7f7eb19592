"""What features are: their time rule, their network, its optical flow."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from pipeline.cluster.settings import ActorPool, RayConfig
from pipeline.features.timeline import Timeline
from pipeline.settings import OutputFolder, Settings, force, merge_over


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


class FlowResources(ActorPool):
    """Resources of the tasks or actors that compute optical flow."""

    cpus: PositiveFloat = Field(1.0, description="CPUs, and threads, of a task or an actor")
    gpus: float = Field(0.0, ge=0, description="RAFT: GPUs of an actor, may be a fraction")
    min_actors: PositiveInt = Field(1, description="RAFT: actors at the start")
    max_actors: PositiveInt = Field(1, description="RAFT: actors that the pool may grow to")


class FlowConfig(FlowResources):
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


class StoreWriting(Settings):
    """What every job that writes a feature store is told of it."""

    store: OutputFolder = Field(description="URL of the feature store to write")
    shard_mb: PositiveFloat = Field(128.0, description="aim for feature files of this many MiB")
    merge_over: int = merge_over("store")
    moved: bool = Field(
        False, description="let files that the store knows be elsewhere, if they are unchanged"
    )
    replace: bool = Field(False, description="make features again where another file stands under a known id")
    retry_failed: bool = Field(False, description="try again what earlier runs recorded as failed")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    force: bool = force("store")
    ray: RayConfig = RayConfig()
