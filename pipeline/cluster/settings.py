"""How a job reaches Ray, and how many actors do its work."""

from typing import Self

from pydantic import Field, PositiveInt, model_validator

from pipeline.settings import Settings


class RayConfig(Settings):
    """How a job reaches Ray; inside a running cluster only `address` counts."""

    address: str | None = Field(
        None, description="Ray to join; null joins the one it was submitted to or starts a local one"
    )
    cpus: PositiveInt | None = Field(
        None, description="slots for CPUs of a local Ray; null takes all CPUs; never under 4"
    )
    object_store_mb: PositiveInt | None = Field(
        None, description="object store of a local Ray in MiB; null lets Ray choose"
    )


class Placement(Settings):
    """On which nodes a stage runs."""

    resources: dict[str, float] | None = Field(
        None, description="custom Ray resources that each worker asks for, {name: amount}"
    )
    labels: dict[str, str] | None = Field(
        None, description="Ray labels that a node must have to run it, {name: value}, such as a pool's"
    )


class ActorPool(Placement):
    """How many actors a stage has."""

    min_actors: PositiveInt = Field(1, description="actors at the start")
    max_actors: PositiveInt = Field(1, description="actors that the pool may grow to")

    @model_validator(mode="after")
    def _pool_is_possible(self) -> Self:
        if self.max_actors < self.min_actors:
            raise ValueError(
                f"max_actors ({self.max_actors}) must be at least min_actors ({self.min_actors})"
            )
        return self
