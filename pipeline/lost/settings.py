"""Settings of the list of failures."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.failures import FailureKind
from pipeline.settings import OptionalStoreUrl, OptionalUrl, Settings


class FailuresConfig(Settings):
    """Settings of jobs/failures.py."""

    store: OptionalStoreUrl = Field(None, description="URL of a feature store, to list what it has lost")
    predictions: OptionalUrl = Field(None, description="URL of a predict output folder, likewise")
    out: OptionalUrl = Field(None, description="URL of the folder that export_features wrote, likewise")
    kind: tuple[str, ...] = Field((), description="kinds to list, such as truncated; none is all")
    format: Literal["table", "csv", "json"] = Field("table", description="form of the list")

    @field_validator("kind")
    @classmethod
    def _kinds_are_known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        strangers = sorted(set(kinds) - set(FailureKind))
        if strangers:
            raise ValueError(f"there is no kind {strangers[0]!r}; there are {', '.join(FailureKind)}")
        return kinds

    @model_validator(mode="after")
    def _names_one_folder(self) -> "FailuresConfig":
        if len([url for url in (self.store, self.predictions, self.out) if url is not None]) != 1:
            raise ValueError(
                "give one of store=<feature store>, predictions=<folder of predict>, out=<of export>"
            )
        return self
