"""Settings of the zero-shot protocol."""

from typing import Annotated

from pydantic import Field, PositiveInt

from pipeline.inference.settings import DetectConfig
from pipeline.naming.settings import NamingOfSplits
from pipeline.training.settings import TrainConfig


class SplitsConfig(TrainConfig):
    """Settings of jobs/splits.py: those of a training run, done for each split."""

    splits: tuple[Annotated[int, Field(ge=0, le=9)], ...] = Field(
        tuple(range(10)), min_length=1, description="zero-shot splits to train, predict and evaluate"
    )
    parallel: PositiveInt = Field(1, description="splits at a time, each with `workers` of its own")
    detect: DetectConfig = DetectConfig()
    naming: bool = Field(
        False, description="name what is found by each split's unseen classes, too, and score the names"
    )
    words: NamingOfSplits = Field(NamingOfSplits(), description="how naming=true names")
    allow_failures: bool = Field(False, description="evaluate even where videos could not be predicted")
