"""Settings of compaction."""

from pydantic import Field, PositiveFloat, model_validator

from pipeline.settings import OptionalStoreUrl, OptionalUrl, Settings, force


class CompactConfig(Settings):
    """Settings of jobs/compact.py."""

    store: OptionalStoreUrl = Field(None, description="URL of a feature store whose small files are merged")
    predictions: OptionalUrl = Field(None, description="URL of a predict output folder, likewise")
    file_mb: PositiveFloat | None = Field(
        None, description="aim for files of this many MiB; null is 128 of a store, 32 of predictions"
    )
    force: bool = force("folder")

    @model_validator(mode="after")
    def _names_one_folder(self) -> "CompactConfig":
        if (self.store is None) == (self.predictions is None):
            raise ValueError("give either store=<feature store> or predictions=<folder of predict>")
        return self
