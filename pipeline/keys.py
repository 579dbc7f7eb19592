"""The keys of typed settings: which there are, what each means, and its default.

Settings are pydantic models, and frozen dataclasses where `models` defines them: one, or several of which a field
`name` tells which is meant.
"""

import dataclasses
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from omegaconf import MISSING
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


def described_keys(
    config_type: type, values: Mapping[str, Any] | None = None, prefix: str = ""
) -> Iterator[tuple[str, FieldInfo]]:
    """Every leaf key of a settings class in dotted form, with its field, in the order of definition.

    Of dataclasses that are told apart by `name`, `values`, the settings as a tree, tell which is meant; without it the
    keys of all are given, each once.
    """
    for name, field in fields_of((config_type,)).items():
        yield from _described(name, field, (values or {}).get(name), prefix)


def _described(name: str, field: FieldInfo, value: Any, prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    kinds = group_of(field)
    if not kinds:
        yield f"{prefix}{name}", field
        return
    inner = value if isinstance(value, Mapping) else {}
    chosen = tuple(kind for kind in kinds if name_of(kind) == inner.get("name")) or kinds
    for key, one in fields_of(chosen).items():
        yield from _described(key, one, inner.get(key), f"{prefix}{name}.")


def group_of(field: FieldInfo) -> tuple[type, ...]:
    """The settings classes of which a field holds one; none where it is a leaf."""
    annotation = field.annotation
    kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return kinds if all(map(_is_settings, kinds)) else ()


def fields_of(kinds: Sequence[type]) -> dict[str, FieldInfo]:
    """The fields of settings classes; one that several have is the first one's."""
    found: dict[str, FieldInfo] = {}
    for kind in kinds:
        found = (kind.model_fields if issubclass(kind, BaseModel) else _fields_of_dataclass(kind)) | found
    order = [name for kind in kinds for name in _names(kind)]
    return {name: found[name] for name in dict.fromkeys(order)}


def name_of(kind: type) -> str | None:
    """What a dataclass's field `name` must be, where only one thing will do."""
    choices = get_args(get_type_hints(kind).get("name"))
    return choices[0] if len(choices) == 1 else None


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """What a field may be, where that is one of a few texts."""
    kinds = [field.annotation, *get_args(field.annotation)]
    return tuple(c for kind in kinds if get_origin(kind) is Literal for c in get_args(kind))


def default_tree(config_type: type[BaseModel]) -> dict[str, Any]:
    """A class's own defaults as a tree of plain values, `???` where the user, or a preset, must give one."""
    tree: dict[str, Any] = {}
    for name, field in config_type.model_fields.items():
        kinds = group_of(field)
        if len(kinds) == 1 and issubclass(kinds[0], BaseModel):
            tree[name] = default_tree(kinds[0])
            if isinstance(field.default, BaseModel):
                tree[name] |= field.default.model_dump(mode="json")
        elif field.default is PydanticUndefined and field.default_factory is None:
            tree[name] = MISSING
        else:
            default = field.get_default(call_default_factory=True, validated_data={})
            tree[name] = list(default) if isinstance(default, tuple) else default
    return tree


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind))


def _names(kind: Any) -> list[str]:
    if issubclass(kind, BaseModel):
        return list(kind.model_fields)
    # `name` first, and then as written; what a subclass defines anew keeps the place that it had.
    return sorted((one.name for one in dataclasses.fields(kind)), key=lambda name: name != "name")


def _fields_of_dataclass(kind: Any) -> dict[str, FieldInfo]:
    hints = get_type_hints(kind)
    return {
        one.name: FieldInfo(
            annotation=hints[one.name],
            default=PydanticUndefined if one.default is dataclasses.MISSING else one.default,
            description=one.metadata.get("meaning"),
        )
        for one in dataclasses.fields(kind)
    }
