"""Hyper-parameters as YAML gives them become the dataclasses that `models` defines."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from models import DETECTORS, build_detector
from models.criterion import CriterionConfig
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.errors import InputError

Dataclass = TypeVar("Dataclass")

# What the data decides, not the user.
_FROM_DATA = frozenset({"input_dim", "num_classes"})


def build(model: Mapping[str, Any], input_dim: int, num_classes: int, bf16: bool) -> NormalisedDetector:
    """The freshly initialised detector that a `model` config describes, with normalisation that changes
    nothing.

    Args:
        model: `name` and the fields of that detector's config, all but `input_dim` and `num_classes`.
        input_dim: width of the features.
        num_classes: classes to tell apart.
        bf16: run the detector in bfloat16 autocast.
    Raises:
        InputError: an unknown detector or key, or an impossible value.
    """
    name = model.get("name")
    if name not in DETECTORS:
        raise InputError(f"model.name={name}: no such detector; choose from {', '.join(sorted(DETECTORS))}")
    values = {key: value for key, value in model.items() if key != "name"}
    for key in sorted(_FROM_DATA & values.keys()):
        raise InputError(f"model.{key}={values[key]}: the features and annotations decide this; leave it out")
    _, config_type = DETECTORS[name]
    sizes = {"input_dim": input_dim, "num_classes": num_classes}
    config = read_dataclass(config_type, values | sizes, "model")
    return NormalisedDetector(build_detector(config), input_dim, bf16)


def criterion_config(loss: Mapping[str, Any]) -> CriterionConfig:
    """The weights that a `loss` config describes. Raises InputError for an unknown key or a wrong value."""
    return read_dataclass(CriterionConfig, loss, "loss")


def read_dataclass(kind: type[Dataclass], values: Mapping[str, Any], key: str) -> Dataclass:
    """An instance of the dataclass `kind` with its fields checked against their types.

    Raises InputError with a line for each wrong key, calling the whole `key`.
    """
    _refuse_unknown(kind, values, key)
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        lines = []
        for detail in error.errors():
            path = ".".join([key, *(str(part) for part in detail["loc"])])
            message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
            given = "" if detail["type"] == "missing" or not detail["loc"] else f"={detail['input']}"
            lines.append(f"{path}{given}: {message}")
        raise InputError("\n".join(lines)) from None


def _refuse_unknown(kind: Any, values: Mapping[str, Any], key: str) -> None:
    """Pydantic ignores unknown keys of plain dataclasses, and a misspelt one must not pass."""
    types = get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {key}.{near[0]}?" if near else f"choose from {', '.join(known)}"
            raise InputError(f"{key}.{name}: unknown key; {hint}")
        if dataclasses.is_dataclass(types[name]) and isinstance(value, Mapping):
            _refuse_unknown(types[name], value, f"{key}.{name}")
