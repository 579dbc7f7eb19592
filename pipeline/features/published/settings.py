"""Settings of importing and exporting published features."""

import re
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from pipeline.annotations.settings import DatasetConfig
from pipeline.cluster.settings import RayConfig
from pipeline.features.settings import StoreWriting, TimelineConfig
from pipeline.settings import OptionalFilesUrl, OptionalUrl, OutputFolder, Settings, StoreUrl, Url, force


class PublishedTimelineConfig(TimelineConfig):
    """The time rule of features that somebody else extracted: nothing of it may go without saying."""

    fps: PositiveFloat | None = Field(
        description="frames per second of the frames that snippets count; null is each video's own rate"
    )
    stride: PositiveInt = Field(description="frames between neighbouring snippets")
    window: PositiveInt = Field(description="frames in a snippet")


class KnownVideosConfig(DatasetConfig):
    """Annotations that, where they are given, tell what videos there are, how long and at what rate."""

    annotations: OptionalFilesUrl = Field(  # type: ignore[assignment]
        None, description="annotation file that tells durations and rates, and which videos are missing"
    )


class ReadConfig(Settings):
    """Resources of the tasks that read published features."""

    cpus: PositiveFloat = Field(0.5, description="CPUs a reading task asks Ray for")
    chunks_per_task: PositiveInt = Field(8, description="consecutive chunks that one task reads")
    timeout_s: PositiveFloat = Field(600.0, description="seconds to look into a file, or to read a video")
    memory_mb: PositiveInt = Field(4096, description="MiB that reading a file may take")


class ImportFeaturesConfig(StoreWriting):
    """Settings of jobs/import_features.py."""

    source: Url = Field(description="folder, glob, archive or one file of many videos: npy, npz, h5, pt")
    second_source: OptionalUrl = Field(
        None, description="features to append along the channels, such as flow after RGB"
    )
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
    info: OptionalFilesUrl = Field(
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
    read: ReadConfig = ReadConfig()

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

    store: StoreUrl = Field(description="URL of the feature store to read")
    out: OutputFolder = Field(description="URL of the folder for <video_id>.npy files")
    only: tuple[str, ...] = Field(
        (), description="ids of the videos to export, or patterns such as video_test_*; none is all"
    )
    dtype: Literal["float16", "float32"] = Field(
        "float16", description="type of the values; float16 is the store's"
    )
    cpus: PositiveFloat = Field(0.5, description="CPUs an exporting task asks Ray for")
    allow_failures: bool = Field(False, description="exit with 0 even when videos failed")
    force: bool = force("folder")
    ray: RayConfig = RayConfig()
