"""The base of typed settings: each room has those of its own jobs, as objects, beside its code.

Field defaults are the defaults of the commands; `configs/` holds presets that differ from them. A description is what
`--help` prints, so it is a few words and gives the unit.
"""

import os
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _anchored(url: str | None) -> str | None:
    """Make a local path absolute, at the end of a chain too, so that it means the same in every process of the job."""
    if url is None:
        return None
    chain, link, url = url.rpartition("::")
    if link:
        return f"{chain}::{_anchored(url)}"
    if "://" in url or os.path.isabs(url):
        return url
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        raise ValueError(
            "a relative path would lie in the submitted job's temporary copy of the code; "
            "give an absolute path or a URL"
        )
    return os.path.abspath(os.path.expanduser(url))


Url = Annotated[str, AfterValidator(_anchored)]
OptionalUrl = Annotated[str | None, AfterValidator(_anchored)]


class Settings(BaseModel):
    """A frozen group of settings that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def force(folder: str) -> Any:
    """The key by which a job takes a folder over."""
    return Field(
        False, description=f"take the {folder} over from a job that is writing into it, which then stops"
    )
