"""What earlier versions wrote into checkpoints, in today's names."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

# Keys of `model` and `loss`, and beginnings of the names of tensors.
_KEYS = {
    "model": {
        "salient_on": "salience_on",
        "salient_head": "salience_head",
        "salient_upsampling": "salience_upsampling",
        "share_salient_head": "share_salience_head",
    },
    "loss": {"salient": "salience"},
}
# What a detector did before there was a key for it.
_BEFORE: dict[str, dict[str, Any]] = {"dualdetr": {"branch_heads": "all"}}
# Keys that are gone, with the value that did nothing: a run that had another says so when it is built.
_GONE: dict[str, dict[str, Any]] = {"dualdetr": {"refine_classes": False}}
_TENSORS = {"detector.salient.": "detector.salience_heads."}


def settings_in_todays_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A run's settings, as a tree of JSON values."""
    today = dict(settings) | {
        group: {names.get(key, key): value for key, value in settings[group].items()}
        for group, names in _KEYS.items()
        if isinstance(settings.get(group), Mapping)
    }
    if isinstance(model := today.get("model"), Mapping):
        name = model.get("name", "")
        gone = _GONE.get(name, {})
        kept = {key: value for key, value in model.items() if key not in gone or value != gone[key]}
        today["model"] = _BEFORE.get(name, {}) | kept
    return today


def tensors_in_todays_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's tensors by name, those of the optimiser, which begin with a parameter's name, as well."""
    return {_renamed(name): tensor for name, tensor in tensors.items()}


def _renamed(name: str) -> str:
    for before, now in _TENSORS.items():
        if name.startswith(before):
            return now + name.removeprefix(before)
    return name
