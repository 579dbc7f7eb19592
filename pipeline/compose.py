"""From `key=value` words to a checked configuration: Hydra composes `configs/`, pydantic checks the result.

Every mistake becomes an InputError of one line that names the key, the value and what is allowed.
"""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from models.detectors import DETECTORS
from pipeline.errors import InputError
from pipeline.keys import default_tree, described_keys, fields_of, group_of, name_of
from pipeline.words import as_override

CONFIG_DIR = Path(__file__).resolve().parents[1] / "configs"
ConfigType = TypeVar("ConfigType", bound=BaseModel)

# What pydantic calls a value that is no group, and values of a form that it names by Python's.
_GROUP_EXPECTED = ("model_type", "model_attributes_type", "dataclass_type")
_FORMS = {
    "tuple_type": "must be a list in brackets, such as [1,2]",
    "dict_type": "must be a mapping, such as {name: 1}",
}


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
    fields = dict(described_keys(config_type))
    words = [_override(word, job, fields) for word in overrides]
    store = ConfigStore.instance()
    store.store(name=f"{job}_defaults", node=default_tree(config_type))
    for name, kind in DETECTORS.items():
        node = {"model": dataclasses.asdict(kind.config()), "loss": dataclasses.asdict(kind.loss())}
        store.store(group="model/hyperparameters", name=name, node=node, package="_global_")
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


def preset_groups(job: str) -> list[str]:
    """The config groups from which a job takes presets, such as `backbone`."""
    root = OmegaConf.load(CONFIG_DIR / f"{job}.yaml")
    return [str(group) for entry in root.defaults if isinstance(entry, DictConfig) for group in entry]


def group_options(group: str) -> list[str]:
    """The names that a config group offers: the files in `configs/<group>`."""
    return sorted(path.stem for path in (CONFIG_DIR / group).glob("*.yaml"))


def _override(word: str, job: str, fields: dict[str, FieldInfo]) -> str:
    """The word as Hydra must see it. Raises InputError where it is none, or its preset has no possible name."""
    key, equals, value = word.partition("=")
    if not equals or not re.fullmatch(r"[+~]{0,2}[\w./@-]+", key):
        raise InputError(f"{word}: not understood; settings are given as key=value (--help lists the keys)")
    if key in preset_groups(job) and not re.fullmatch(r"[\w/-]+", value):
        raise InputError(f"{word}: must be one name; choose from {', '.join(group_options(key)) or 'none'}")
    return as_override(word, fields.get(key))


def _without_missing(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_missing(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value != MISSING
    }


def _explain(error: Exception, config_type: type[BaseModel]) -> str:
    """One line for what Hydra or OmegaConf refused."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        rules = (
            "a list is [1,2], a mapping {name: 1}, and other text stands in double quotes inside single ones"
        )
        return f"{error.override}: cannot be read; {rules}: '{error.override.partition('=')[0]}=\"a b\"'"
    several = re.search(r"Ambiguous value for argument '(.*?)'\s", text)
    if several:
        return f"{several[1]}: is more than one value; give one, or a list in brackets"
    merged = re.search(r"Error merging override (.*)", text)
    if merged:
        return _group_word(merged[1], config_type) or f"{merged[1]}: is no value of this key"
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
    if (as_group := _group_word(key, config_type)) is not None:
        return as_group
    if key in keys:
        *others, last = _owners(key, config_type)
        owners = f"{', '.join(others)} and {last} have" if others else f"{last} has"
        return f"{key}: unknown key here; only {owners} it"
    near = difflib.get_close_matches(key, keys, n=1) or difflib.get_close_matches(
        key.rsplit(".", 1)[-1], keys, n=1, cutoff=0.4
    )
    hint = f"did you mean {near[0]}?" if near else "--help lists the keys"
    return f"{key}: unknown key; {hint}"


def _group_word(word: str, config_type: type[BaseModel]) -> str | None:
    """What to say of a word, or a key, that names a whole group of keys; None of any other."""
    group = word.partition("=")[0]
    inner = [name for name, _ in described_keys(config_type) if name.startswith(f"{group}.")]
    return f"{group}: is a group of keys; set them one by one, such as {inner[0]}" if inner else None


def _owners(key: str, config_type: type[BaseModel]) -> list[str]:
    """The alternatives of a group that have a key, such as `model.name=tp2detr`."""
    group, _, inner = key.partition(".")
    kinds = group_of(config_type.model_fields[group])
    return [f"{group}.name={name_of(kind)}" for kind in kinds if inner.split(".")[0] in fields_of((kind,))]


def _explain_detail(detail: ErrorDetails, config_type: type[BaseModel]) -> str:
    """One line for what pydantic refused."""
    key = _dotted(detail["loc"], config_type)
    if detail["type"] == "missing":
        fields = dict(described_keys(config_type))
        meaning = fields[key].description if key in fields else None
        return f"{key}: is required ({meaning})" if meaning else f"{key}: is required"
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return _unknown_key(key, config_type)
    if detail["type"] == "union_tag_not_found":
        return f"{key}.name: is required"
    if detail["type"] == "union_tag_invalid":
        context = detail["ctx"]
        return f"{key}.name={context['tag']}: must be one of {context['expected_tags']}"
    if detail["type"] in _GROUP_EXPECTED and (told := _group_word(key, config_type)):
        return told
    message = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    message = _FORMS.get(detail["type"], message)
    if not key:
        return message
    if isinstance(detail["input"], dict):  # of a whole group, whose message names the key
        return f"{key}.{message}" if re.match(r"\w+=", message) else f"{key}: {message}"
    if isinstance(detail["input"], list | tuple) and not all(map(_is_plain, detail["input"])):
        return f"{key}: {message}"
    return f"{key}={detail['input']}: {message}"


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list | tuple)


def _dotted(loc: tuple[int | str, ...], config_type: type[BaseModel]) -> str:
    """The key of a place in the settings, without the names by which pydantic tells alternatives apart."""
    kinds: tuple[type, ...] = (config_type,)
    parts = []
    for part in loc:
        if len(kinds) > 1 and part in [name_of(kind) for kind in kinds]:
            kinds = tuple(kind for kind in kinds if name_of(kind) == part)
            continue
        parts.append(str(part))
        field = fields_of(kinds).get(str(part)) if kinds else None
        kinds = group_of(field) if field else ()
    return ".".join(parts)
