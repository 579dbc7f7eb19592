"""Settings of extraction."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from pipeline.cluster.settings import ActorPool, Placement
from pipeline.features.settings import BackboneConfig, FlowConfig, StoreWriting, TimelineConfig
from pipeline.settings import Settings, VideosUrl


class DecodeConfig(Placement):
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


class EmbedConfig(ActorPool):
    """Resources of the backbone actors."""

    cpus: PositiveFloat = Field(1.0, description="CPUs of an actor")
    gpus: float = Field(0.0, ge=0, description="GPUs of an actor, may be a fraction")
    accelerator_type: str | None = Field(
        None, description="kind of GPU, by Ray's name for it, such as A100; null takes any"
    )
    threads: PositiveInt | None = Field(None, description="CPU threads of an actor; null is its CPUs")
    chunks_per_batch: PositiveInt = Field(2, description="chunks whose frames share batches")


class StageWork(Settings):
    """How the work of making features is cut and placed, which does not change them."""

    chunk_frames: PositiveInt = Field(
        512, description="sampled frames in a chunk, the unit of work and of retry"
    )
    decode: DecodeConfig = DecodeConfig()
    embed: EmbedConfig = EmbedConfig()


class StagesConfig(StageWork):
    """How videos become features, whatever comes of these."""

    backbone: BackboneConfig = BackboneConfig()
    timeline: TimelineConfig = TimelineConfig()
    flow: FlowConfig = FlowConfig()

    @model_validator(mode="after")
    def _sampling_is_possible(self) -> Self:
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


class SizeConfig(Settings):
    """What a dry run computes besides: the size of an archive like the videos that it sampled."""

    hours: PositiveFloat | None = Field(
        None, description="hours of video to size for; null is what videos= has to do"
    )
    within_hours: PositiveFloat | None = Field(None, description="hours in which it is to be done")
    cpu_price: float | None = Field(None, ge=0, description="price of a CPU for an hour, in any currency")
    gpu_price: float | None = Field(None, ge=0, description="price of a GPU for an hour")


class ExtractConfig(StagesConfig, StoreWriting):
    """Settings of jobs/extract.py."""

    videos: VideosUrl = Field(description="folder, glob, or Parquet/CSV/JSONL manifest with video_id, uri")
    dry_run: bool = Field(False, description="print what there is to do and how long it takes; write nothing")
    size: SizeConfig = SizeConfig()

    @model_validator(mode="after")
    def _sizes_by_a_dry_run(self) -> Self:
        if not self.dry_run and self.size != SizeConfig():
            raise ValueError("size: is what a dry run tells; give dry_run=true")
        return self
