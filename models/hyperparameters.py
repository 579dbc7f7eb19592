"""Fields of config dataclasses: what they mean, and the checks that all of them share."""

from dataclasses import MISSING, field, fields
from typing import Any, Literal, get_args, get_origin


def hyperparameter(default: Any = MISSING, *, meaning: str, least: int = 1) -> Any:
    """A field of a config dataclass, with the few words on it that `--help` prints, and the least of a count."""
    return field(default=default, metadata={"meaning": meaning, "least": least})


def check_fields(config: Any) -> None:
    """Raise ValueError where a count of a config dataclass is too small, or a choice is none of its choices."""
    for one in fields(config):
        value, least = getattr(config, one.name), one.metadata.get("least", 1)
        if one.type is int and value < least:
            raise ValueError(f"{one.name}={value} must be at least {least}")
        if get_origin(one.type) is Literal and value not in get_args(one.type):
            raise ValueError(f"{one.name}={value!r} must be one of {', '.join(get_args(one.type))}")
