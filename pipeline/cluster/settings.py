"""How a job reaches Ray."""

from pydantic import Field, PositiveInt

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
