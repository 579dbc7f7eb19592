"""Settings of reports."""

from pydantic import Field, PositiveInt, model_validator

from pipeline.annotations.settings import TruthConfig
from pipeline.settings import (
    OptionalOutputFolder,
    OptionalRunUrl,
    OptionalStoreUrl,
    PredictionsUrl,
    Settings,
)


class ReportConfig(Settings):
    """Settings of jobs/report.py."""

    predictions: PredictionsUrl = Field(
        description="URL of a predict output folder, a Parquet file or ActivityNet results (.json)"
    )
    dataset: TruthConfig = TruthConfig()
    run: OptionalRunUrl = Field(
        None, description="URL of a TP²-DETR run, to draw what its salience heads see"
    )
    store: OptionalStoreUrl = Field(None, description="URL of the feature store that the run looks at")
    videos: tuple[str, ...] = Field((), description="ids of the videos to draw; none is the first by id")
    max_videos: PositiveInt = Field(8, description="videos to draw where none are named")
    min_score: float | None = Field(
        None,
        allow_inf_nan=False,
        description="lowest score in timelines; null: that of best F1, or where all scores divide best",
    )
    out: OptionalOutputFolder = Field(
        None, description="URL of the folder for the pictures; null is beside the predictions"
    )

    @model_validator(mode="after")
    def _salience_has_features(self) -> "ReportConfig":
        if (self.run is None) != (self.store is None):
            raise ValueError("run and store belong together: give both, or neither")
        return self
