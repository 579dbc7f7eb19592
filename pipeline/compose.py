"""From `key=value` words to a checked configuration: Hydra composes `configs/`, pydantic checks the result.

Every mistake becomes an InputError of one line that names the key, the value and what is allowed.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from pipeline.errors import InputError

CONFIG_DIR = Path(__file__).resolve().parents[1] / "configs"
ConfigType = TypeVar("ConfigType", bound=BaseModel)


def compose_config(job: str, config_type: type[ConfigType], overrides: Sequence[str]) -> ConfigType:
    """The checked configuration of a job.

    Args:
        job: name of the root file in `configs/`.
        config_type: the job's settings class; its defaults are the base that the YAML files refine.
        overrides: `key=value` words as typed by the user.
    Raises:
        InputError: unknown key or group option, missing key, wrong type or impossible value.
    """
    return validate(config_type, compose_values(job, config_type, overrides))


def compose_values(job: str, config_type: type[BaseModel], overrides: Sequence[str]) -> dict[str, Any]:
    """The composed values before they are checked; required keys without a value are absent."""
    words = [_quoted(word, config_type) for word in overrides]
    ConfigStore.instance().store(name=f"{job}_defaults", node=_defaults(config_type))
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            composed = compose(job, overrides=words)
        values = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(_explain(error, config_type)) from error
    assert isinstance(values, dict)
    return _without_missing({str(key): value for key, value in values.items()})


def validate(config_type: type[ConfigType], values: dict[str, Any]) -> ConfigType:
    """Check composed values against the settings class. Raises InputError with a line for each wrong key."""
    try:
        return config_type.model_validate(values)
    except ValidationError as error:
        lines = [_explain_detail(detail, config_type) for detail in error.errors()]
        raise InputError("\n".join(dict.fromkeys(lines))) from error


def described_keys(config_type: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every leaf key of a settings class in dotted form, with its field, in the order of definition."""
    for name, field in config_type.model_fields.items():
        if _is_group(field):
            yield from described_keys(field.annotation, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            yield f"{prefix}{name}", field


def preset_groups(job: str) -> list[str]:
    """The config groups from which a job takes presets, such as `backbone`."""
    root = OmegaConf.load(CONFIG_DIR / f"{job}.yaml")
    return [str(group) for entry in root.defaults if isinstance(entry, DictConfig) for group in entry]


def group_options(group: str) -> list[str]:
    """The names that a config group offers: the files in `configs/<group>`."""
    return sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))


def _quoted(word: str, config_type: type[BaseModel]) -> str:
    """The word as Hydra must see it: a text is taken literally, for paths hold commas, globs and brackets."""
    key, equals, value = word.partition("=")
    if not equals:
        raise InputError(f"{word}: not understood; settings are given as key=value (--help lists the keys)")
    field = dict(described_keys(config_type)).get(key)
    literal = field is not None and field.annotation in (str, str | None) and value not in ("null", "???")
    if not literal or value[:1] in ("'", '"'):
        return word
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    return f"{key}='{escaped}'"


def _is_group(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _defaults(config_type: type[BaseModel]) -> dict[str, Any]:
    """The class's own defaults as a tree, `???` where the user must give a value."""
    tree: dict[str, Any] = {}
    for name, field in config_type.model_fields.items():
        if _is_group(field):
            tree[name] = _defaults(field.annotation)  # type: ignore[arg-type]
            if isinstance(field.default, BaseModel):
                tree[name] |= field.default.model_dump(mode="json")
        elif field.default is PydanticUndefined and field.default_factory is None:
            tree[name] = MISSING
        else:
            default = field.get_default(call_default_factory=True, validated_data={})
            tree[name] = list(default) if isinstance(default, tuple) else default
    return tree


def _without_missing(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_missing(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value != MISSING
    }


def _explain(error: Exception, config_type: type[BaseModel]) -> str:
    """One line for what Hydra or OmegaConf refused."""
    text = str(error)
    unknown = re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text)
    if unknown:
        return _unknown_key(unknown.group(1) or unknown.group(2), config_type)
    option = re.search(r"Could not find '([\w-]+)/([^']+)'", text)
    if option:
        group, name = option.groups()
        return f"{group}={name}: no such {group}; choose from {', '.join(group_options(group)) or 'none'}"
    return " ".join(text.split())


def _unknown_key(key: str, config_type: type[BaseModel]) -> str:
    keys = [name for name, _ in described_keys(config_type)]
    near = difflib.get_close_matches(key, keys, n=1) or difflib.get_close_matches(
        key.rsplit(".", 1)[-1], keys, n=1, cutoff=0.4
    )
    hint = f"did you mean {near[0]}?" if near else "--help lists the keys"
    return f"{key}: unknown key; {hint}"


def _explain_detail(detail: ErrorDetails, config_type: type[BaseModel]) -> str:
    """One line for what pydantic refused."""
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing":
        fields = dict(described_keys(config_type))
        meaning = fields[key].description if key in fields else None
        return f"{key}: is required ({meaning})" if meaning else f"{key}: is required"
    if detail["type"] == "extra_forbidden":
        return _unknown_key(key, config_type)
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if not key:
        return message
    return f"{key}={detail['input']}: {message}"
