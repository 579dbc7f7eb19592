"""Where truth lies and how it is read."""

from typing import Literal

from pydantic import Field, PositiveFloat, model_validator

from pipeline.settings import FilesUrl, OptionalFilesUrl, Settings


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
    format: Literal["activitynet", "actions", "charades_csv", "tsu", "label_studio", "via"] = Field(
        "activitynet", description="layout of the annotation file"
    )
    annotations: FilesUrl = Field(description="URL of the published annotation file, or a glob of several")
    classes: OptionalFilesUrl = Field(None, description="URL of the class list that names number labels")
    train_subset: str = Field("train", description="subset to train on")
    test_subset: str = Field("test", description="subset to validate, predict and evaluate on")
    id_prefix: str = Field(
        "", description="begin ids of the file with this, as feature files do, if not all do"
    )
    exclude: tuple[str, ...] = Field((), description="ids of videos left out of testing")
    min_seconds: float = Field(0.0, ge=0, description="leave out instances that are not longer, in seconds")
    fps: PositiveFloat | None = Field(
        None, description="frames a second of files that count them; null: 20 of tsu, 24 of label_studio"
    )
    subset: str = Field("train", description="subset of files that know none (label_studio, via)")
    zero_shot: ZeroShotConfig = ZeroShotConfig()

    @model_validator(mode="after")
    def _tests_what_it_does_not_train_on(self) -> "DatasetConfig":
        if self.zero_shot.active and self.train_subset == self.test_subset:
            raise ValueError(
                f"with dataset.zero_shot, train_subset and test_subset must differ, not both be {self.test_subset}"
            )
        return self


class TruthConfig(DatasetConfig):
    """A dataset for jobs that go without."""

    annotations: OptionalFilesUrl = Field(  # type: ignore[assignment]
        None, description="URL of the annotation file, or a glob of several; null goes without"
    )

    def if_given(self) -> DatasetConfig | None:
        """The dataset with its annotations, or None without any."""
        return None if self.annotations is None else DatasetConfig.model_validate(self.model_dump())
