"""Settings of what people can open of the segments."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.settings import OutputFolder, PredictionsUrl, Settings, Url


class ResultsConfig(Settings):
    """Whether results/ is written beside the tables, and what its subtitles show."""

    write: Literal["auto", "always", "never"] = Field(
        "auto",
        description="results/, for people to open; auto writes it of up to 1000 videos: nobody opens more",
    )
    min_score: float | None = Field(
        None,
        allow_inf_nan=False,
        description="lowest score in subtitles; null is where all scores divide best",
    )
    at_a_time: PositiveInt = Field(3, description="subtitles on the screen at once, the best ones")

    def wanted(self, num_videos: int) -> bool:
        """Whether results of so many videos are written."""
        return self.write == "always" or (self.write == "auto" and num_videos <= MOST_VIDEOS)


# A folder of more files is not one that people look through, and each is a request where storage is remote.
MOST_VIDEOS = 1000


class ExportSegmentsConfig(Settings):
    """Settings of jobs/export_segments.py."""

    predictions: PredictionsUrl = Field(
        description="URL of a predict output folder, a Parquet file or ActivityNet results (.json)"
    )
    format: Literal["activitynet", "csv", "webvtt", "label_studio", "via"] = Field(
        description="form to write: for other tools, for players, or for annotators"
    )
    out: OutputFolder = Field(description="URL of the folder for the files")
    min_score: float | None = Field(
        None,
        allow_inf_nan=False,
        description="lowest score; null: all (activitynet, csv), or where all scores divide best",
    )
    at_a_time: PositiveInt = Field(3, description="subtitles on the screen at once, the best ones (webvtt)")
    videos: tuple[Url, ...] = Field(
        (), description="where video files lie (folder, glob, manifest), for label_studio and via"
    )
    fps: PositiveFloat = Field(24.0, description="frames a second of label_studio, its Video tag's frameRate")
