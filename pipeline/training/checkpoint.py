"""Checkpoints: weights, optimiser state and everything that is needed to use or continue them.

    <run>/checkpoints/epoch_0007/checkpoint.json          the rest: resolved config, labels, FeatureSpec,
    history <run>/checkpoints/epoch_0007/model.safetensors        weights and feature statistics
    <run>/checkpoints/epoch_0007/optimiser.safetensors    AdamW's moments, by parameter name

Nothing in them is ever executed when they are read.
"""

import hashlib
import json
import posixpath
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline import storage
from pipeline.errors import InputError
from pipeline.features.spec import FeatureSpec

CHECKPOINTS = "checkpoints"  # the folder of a run that holds them
_INFO = "checkpoint.json"
_WEIGHTS = "model.safetensors"
_OPTIMISER = "optimiser.safetensors"
_FORMAT = 1


@dataclass(frozen=True)
class StoredTensors:
    """A file of a checkpoint, by which a damaged or half-copied one is recognised."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        epoch: epochs done.
        step: optimiser steps done.
        history: for each epoch done, its number from 1 and its figures: the mean of each loss, `lr`, and
            `det_map` where it was validated.
    """

    epoch: int
    step: int
    history: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class CheckpointInfo:
    """What `checkpoint.json` says.

    Attributes:
        url: the checkpoint's folder.
        progress: how far the run had come.
        labels: class names in the order of the class indices.
        feature_spec: what made the features that it was trained on.
        config: the resolved TrainConfig, as JSON values.
        files: name -> what the file must be.
    """

    url: str
    progress: Progress
    labels: tuple[str, ...]
    feature_spec: FeatureSpec
    config: dict[str, Any]
    files: dict[str, StoredTensors]

    @property
    def digest(self) -> str:
        """SHA-256 of the weight file."""
        return self.files[_WEIGHTS].sha256


def save_checkpoint(
    url: str,
    *,
    progress: Progress,
    labels: tuple[str, ...],
    feature_spec: FeatureSpec,
    config: dict[str, Any],
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write a checkpoint into the folder `url`, `checkpoint.json` last."""
    contents = {
        _WEIGHTS: safetensors.torch.save(
            {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
        ),
        _OPTIMISER: safetensors.torch.save(dict(_optimiser_tensors(model, optimiser))),
    }
    files = {}
    for name, content in contents.items():
        storage.write_bytes(storage.join(url, name), content)
        files[name] = asdict(StoredTensors(len(content), hashlib.sha256(content).hexdigest()))
    info = {
        "format": _FORMAT,
        "progress": asdict(progress),
        "labels": labels,
        "feature_digest": feature_spec.digest,
        "feature_spec": json.loads(feature_spec.to_json()),
        "config": config,
        "files": files,
    }
    storage.write_bytes(storage.join(url, _INFO), json.dumps(info, indent=1).encode())


def read_info(url: str) -> CheckpointInfo:
    """What a checkpoint says of itself. Raises InputError where there is none or it cannot be understood."""
    name = storage.join(url, _INFO)
    if not storage.exists(name):
        raise InputError(f"{url}: no checkpoint there ({_INFO} is missing)")
    try:
        values = json.loads(storage.read_bytes(name))
        if values["format"] != _FORMAT:
            raise InputError(f"{name}: has format {values['format']}, this version of raytad reads {_FORMAT}")
        progress = values["progress"]
        return CheckpointInfo(
            url=url,
            progress=Progress(progress["epoch"], progress["step"], tuple(progress["history"])),
            labels=tuple(values["labels"]),
            feature_spec=FeatureSpec.from_json(json.dumps(values["feature_spec"]).encode(), name),
            config=values["config"],
            files={file: StoredTensors(**stored) for file, stored in values["files"].items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: not a checkpoint's description ({error!r})") from error


def last_checkpoint(run: str) -> CheckpointInfo | None:
    """The newest complete checkpoint of a run, or None where it has none.

    A folder counts as complete when its description is there and names the sizes that its files have; one
    that a killed run had begun to copy is passed over.
    """
    folders: dict[str, dict[str, int]] = {}
    for file in storage.list_files(storage.join(run, CHECKPOINTS)):
        folder, name = posixpath.split(file.url)
        folders.setdefault(folder, {})[name] = file.size
    for folder in sorted((f for f, sizes in folders.items() if _INFO in sizes), reverse=True):
        try:
            info = read_info(folder)
        except InputError:
            continue
        if all(folders[folder].get(name) == stored.size for name, stored in info.files.items()):
            return info
    return None


def load_weights(info: CheckpointInfo, model: nn.Module) -> None:
    """Put a checkpoint's weights and feature statistics into a model.

    Raises InputError where they do not fit or are damaged.
    """
    try:
        model.load_state_dict(_read_tensors(info, _WEIGHTS))
    except RuntimeError as error:
        raise InputError(f"{info.url}: does not fit the model ({' '.join(str(error).split())})") from error


def load_optimiser(info: CheckpointInfo, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Continue with a checkpoint's optimiser state; rates and decay stay as `optimiser` has them."""
    tensors = _read_tensors(info, _OPTIMISER)
    for name, parameter in model.named_parameters():
        prefix = f"{name}//"
        state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if state:
            optimiser.state[parameter] = {key: value.to(parameter.device) for key, value in state.items()}


def checkpoint_name(epoch: int) -> str:
    """The folder name of the checkpoint after `epoch` epochs; names sort by epoch."""
    return f"epoch_{epoch:05d}"


def _optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            yield f"{name}//{key}", value.detach().cpu().contiguous()


def _read_tensors(info: CheckpointInfo, name: str) -> dict[str, Tensor]:
    content = storage.read_bytes(storage.join(info.url, name))
    if hashlib.sha256(content).hexdigest() != info.files[name].sha256:
        raise InputError(
            f"{storage.join(info.url, name)}: damaged (its SHA-256 is not the one that was written)"
        )
    try:
        return safetensors.torch.load(content)
    except SafetensorError as error:
        raise InputError(f"{storage.join(info.url, name)}: not a safetensors file ({error})") from error
