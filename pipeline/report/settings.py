"""Settings of reports."""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from pipeline.annotations.settings import TruthConfig
from pipeline.settings import (
    ManyPredictionsUrls,
    OptionalOutputFolder,
    OptionalRunUrl,
    OptionalStoreUrl,
    Settings,
)


class PageConfig(Settings):
    """How much a page holds, so that it stays a few MB."""

    max_videos: PositiveInt = Field(2000, description="videos in the page; of more, as many evenly by id")
    max_segments: PositiveInt = Field(
        400_000, description="predictions in the page; of more, the best of each video"
    )


class ReportConfig(Settings):
    """Settings of jobs/report.py."""

    predictions: ManyPredictionsUrls = Field(
        min_length=1,
        description="URL, or several, of predict output folders, Parquet files or ActivityNet results",
    )
    dataset: TruthConfig = TruthConfig()
    run: OptionalRunUrl = Field(
        None, description="URL of a TP²-DETR run, to draw what its salience heads see"
    )
    store: OptionalStoreUrl = Field(None, description="URL of the feature store that the run looks at")
    videos: tuple[str, ...] = Field(
        (), description="where video files lie (folder, glob, manifest), to play; ids show just these"
    )
    max_videos: PositiveInt = Field(8, description="videos in pictures where no ids are named")
    min_score: float | None = Field(
        None,
        allow_inf_nan=False,
        description="lowest score shown at first; null: that of best F1, or where all scores divide best",
    )
    page: PageConfig = PageConfig()
    pictures: tuple[Literal["png", "svg", "pdf"], ...] = Field(
        ("png",), description="forms of the pictures beside the page; [] makes none"
    )
    serve: bool = Field(False, description="then serve page and videos on this machine only, until Ctrl-C")
    port: int = Field(0, ge=0, le=65535, description="port of the server; 0 takes a free one")
    out: OptionalOutputFolder = Field(
        None, description="URL of the folder for page and pictures; null is beside the predictions"
    )

    @model_validator(mode="after")
    def _salience_has_features(self) -> "ReportConfig":
        if (self.run is None) != (self.store is None):
            raise ValueError("run and store belong together: give both, or neither")
        return self
