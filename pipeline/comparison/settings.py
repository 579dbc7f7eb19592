"""Settings of the comparison of runs."""

from typing import Literal

from pydantic import Field

from pipeline.settings import OptionalOutputFolder, Settings, Url


class CompareConfig(Settings):
    """Settings of jobs/compare.py."""

    runs: tuple[Url, ...] = Field(
        min_length=1, description="URLs of runs, globs, or folders with several, such as that of splits"
    )
    epoch: Literal["last", "best"] = Field(
        "last", description="which epoch's validation counts where the runs have no predictions/metrics.json"
    )
    published: bool = Field(
        False, description="show published scores of the same dataset, protocol and kind, too"
    )
    out: OptionalOutputFolder = Field(
        None, description="URL of the folder for compare.md, compare.csv and curves.png; null only prints"
    )
