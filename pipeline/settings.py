"""The base of typed settings: each room has those of its own jobs, as objects, beside its code.

Field defaults are the defaults of the commands; `configs/` holds presets that differ from them. A description is what
`--help` prints, so it is a few words and gives the unit.
"""

import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import InputError

SettingsType = TypeVar("SettingsType", bound=BaseModel)


# In the environment of a job that was submitted to a cluster.
SUBMITTED = "RAY_JOB_CONFIG_JSON_ENV_VAR"


def _anchored(url: str | None) -> str | None:
    """Make a local path absolute, at the end of a chain too, so that it means the same in every process of the job."""
    if url is None:
        return None
    chain, link, url = url.rpartition("::")
    if link:
        return f"{chain}::{_anchored(url)}"
    if "://" in url or os.path.isabs(url):
        return url
    if SUBMITTED in os.environ:
        raise ValueError(
            "a relative path would lie in the submitted job's temporary copy of the code; "
            "give an absolute path or a URL"
        )
    return os.path.abspath(os.path.expanduser(url))


_WRITTEN = "a folder that the job writes"
Url = Annotated[str, AfterValidator(_anchored)]
OptionalUrl = Annotated[str | None, AfterValidator(_anchored)]
OutputFolder = Annotated[str, AfterValidator(_anchored), _WRITTEN]
OptionalOutputFolder = Annotated[str | None, AfterValidator(_anchored), _WRITTEN]


class InputKind(StrEnum):
    """What must be at a URL before a job begins; `pipeline.inputs` looks."""

    VIDEOS = "videos"
    STORE = "store"
    RUN = "run"
    CHECKPOINT = "checkpoint"
    PREDICTIONS = "predictions"
    FILES = "files"  # one, or a glob


VideosUrl = Annotated[str, AfterValidator(_anchored), InputKind.VIDEOS]
StoreUrl = Annotated[str, AfterValidator(_anchored), InputKind.STORE]
ManyVideosUrls = Annotated[tuple[VideosUrl, ...], InputKind.VIDEOS]
OptionalStoreUrl = Annotated[str | None, AfterValidator(_anchored), InputKind.STORE]
OptionalRunUrl = Annotated[str | None, AfterValidator(_anchored), InputKind.RUN]
ManyRunUrls = Annotated[tuple[Url, ...], InputKind.RUN]
OptionalCheckpointUrl = Annotated[str | None, AfterValidator(_anchored), InputKind.CHECKPOINT]
PredictionsUrl = Annotated[str, AfterValidator(_anchored), InputKind.PREDICTIONS]
ManyPredictionsUrls = Annotated[tuple[PredictionsUrl, ...], InputKind.PREDICTIONS]
OptionalPredictionsUrl = Annotated[str | None, AfterValidator(_anchored), InputKind.PREDICTIONS]
FilesUrl = Annotated[str, AfterValidator(_anchored), InputKind.FILES]
OptionalFilesUrl = Annotated[str | None, AfterValidator(_anchored), InputKind.FILES]


class Settings(BaseModel):
    """A frozen group of settings that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def output_folders(config: BaseModel) -> dict[str, str]:
    """The URLs of the folders that a job with these settings writes, by key."""
    fields = {name: field for name, field in type(config).model_fields.items() if _WRITTEN in field.metadata}
    return {name: url for name in fields if (url := getattr(config, name)) is not None}


def inputs(config: BaseModel, prefix: str = "") -> Iterator[tuple[str, str, InputKind]]:
    """The (key, URL, kind) of everything that must be there before a job with these settings begins."""
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from inputs(value, f"{prefix}{name}.")
        for kind in field.metadata:
            if isinstance(kind, InputKind) and value is not None:
                for url in (value,) if isinstance(value, str) else value:
                    yield prefix + name, url, kind


def force(folder: str) -> Any:
    """The key by which a job takes a folder over."""
    return Field(
        False, description=f"take the {folder} over from a job that is writing into it, which then stops"
    )


def merge_over(folder: str) -> Any:
    """The key by which a job merges small files at its end."""
    return Field(
        256,
        ge=0,
        description=f"merge the {folder}'s small files at the end if there are more, as compact does; 0: never",
    )


def stored_settings(kind: type[SettingsType], values: Mapping[str, Any], whose: str) -> SettingsType:
    """Settings that some version of raytad has stored. Raises InputError, `whose` first, where this one has others."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(str(part) for part in detail["loc"])
        raise InputError(f"{whose} another version of raytad (its setting {key}: {detail['msg']})") from error
