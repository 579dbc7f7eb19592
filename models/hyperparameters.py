"""Fields of config dataclasses: what they mean, and the checks that all of them share."""

from dataclasses import MISSING, field, fields
from typing import Any, Literal, get_args, get_origin


def hyperparameter(default: Any = MISSING, *, meaning: str) -> Any:
    """A field of a config dataclass, with the few words on it that `--help` prints."""
    return field(default=default, metadata={"meaning": meaning})


def check_fields(config: Any) -> None:
    """Raise ValueError where a count of a config dataclass is below 1, or a choice is none of its choices."""
    for one in fields(config):
        value = getattr(config, one.name)
        if one.type is int and value < 1:
            raise ValueError(f"{one.name}={value} must be at least 1")
        if get_origin(one.type) is Literal and value not in get_args(one.type):
            raise ValueError(f"{one.name}={value!r} must be one of {', '.join(get_args(one.type))}")
