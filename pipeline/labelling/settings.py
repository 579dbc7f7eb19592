"""Settings of labelling: run-time settings of extraction and detection; what features are, the run says."""

import posixpath
from typing import Self

from pydantic import Field, PositiveFloat, model_validator

from pipeline.features.extraction.settings import StageWork
from pipeline.features.settings import FlowResources
from pipeline.inference.settings import BackboneWeights, DetectionSettings, FlowWeights, FolderWriting
from pipeline.settings import (
    ManyRunUrls,
    OptionalCheckpointUrl,
    OptionalOutputFolder,
    OutputFolder,
    VideosUrl,
)


class FlowHere(FlowResources, FlowWeights):
    """Optical flow, for runs whose features see it: where its weights lie now, and its resources."""


class LabelConfig(FolderWriting, DetectionSettings, StageWork):
    """Settings of jobs/label.py."""

    videos: VideosUrl = Field(description="folder, glob, or Parquet/CSV/JSONL manifest with video_id, uri")
    run: ManyRunUrls = Field(
        (), description="URL of a training run, or of several that read the same features"
    )
    checkpoint: OptionalCheckpointUrl = Field(
        None, description="URL of the checkpoint that detects, instead of run"
    )
    out: OutputFolder = Field(
        description="URL of the folder for predictions/, segments/ and results/; of several runs one each"
    )
    store: OptionalOutputFolder = Field(
        None, description="URL of a feature store that is used and kept; null discards features after use"
    )
    round_gb: PositiveFloat = Field(
        8.0, description="GiB of features of a round: they are made, used and, without store, discarded"
    )
    backbone: BackboneWeights = BackboneWeights()
    flow: FlowHere = FlowHere()
    shard_mb: PositiveFloat = Field(128.0, description="aim for feature files of this many MiB")
    moved: bool = Field(
        False, description="let files that were labelled or extracted be elsewhere, if they are unchanged"
    )

    @model_validator(mode="after")
    def _names_detectors(self) -> Self:
        if (not self.run) == (self.checkpoint is None):
            raise ValueError("give either run=<training run> or checkpoint=<folder of a checkpoint>")
        names = [run_name(run) for run in self.run]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(
                f"run: two runs are called {twice}, and so would be their folders in out; label them apart"
            )
        return self


def run_name(run: str) -> str:
    """What a run's folder is called."""
    return posixpath.basename(run.rstrip("/"))
