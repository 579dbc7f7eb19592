"""Checkpoints: weights, optimiser state and everything that is needed to use or continue them.

    <run>/checkpoints/epoch_00007/model.safetensors        weights that predict, and feature statistics
    <run>/checkpoints/epoch_00007/optimiser.safetensors    AdamW's moments, by parameter name; the weights that it moves
                                                           where others predict, their moving average; and what later
                                                           losses depend on, such as ActionFormer's running normaliser
    <run>/checkpoints/epoch_00007/checkpoint.json          the rest: resolved config, labels, FeatureSpec, progress
    <run>/checkpoints/epoch_00007_step_000120/             the same within epoch 8, after 120 of its steps

`checkpoint.json` is written last and says what the others must be: a folder without it was only begun, and one whose
files are not so is damaged. Nothing in them is ever executed when they are read.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline import storage
from pipeline.detector.earlier import tensors_in_todays_names
from pipeline.errors import InputError
from pipeline.features.spec import FeatureSpec
from pipeline.records import DamagedRecordError, parse_record, record_bytes, write_record

CHECKPOINTS = "checkpoints"  # the folder of a run that holds them
INFO = "checkpoint.json"  # the file of a checkpoint that is written last
_WEIGHTS = "model.safetensors"
_OPTIMISER = "optimiser.safetensors"
_FORMAT = 1
_BLOCK_BYTES = 1 << 22
_NAME = re.compile(r"epoch_(\d{5,})(?:_step_(\d{6,}))?")
_WEIGHT = "weight"  # among the state of the optimiser, whose own names are others
_LOSS = "loss"  # before the names of what losses depend on; no parameter is called so

# The files that a use of a checkpoint reads.
TO_PREDICT = (_WEIGHTS,)
TO_RESUME = (_WEIGHTS, _OPTIMISER)


class DamagedError(InputError):
    """A file of a checkpoint is not what was written; the line names the file and what is wrong."""


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
        within: steps done of the epoch that has begun.
        sums: of the figures of these steps, over all workers.
        windows: training windows of the run; None where an earlier version wrote this.
    """

    epoch: int
    step: int
    history: tuple[dict[str, int | float], ...]
    within: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    windows: int | None = None


@dataclass(frozen=True)
class CheckpointInfo:
    """What `checkpoint.json` says.

    Attributes:
        url: the checkpoint's folder.
        progress: how far the run had come.
        labels: class names in the order of the class indices.
        feature_spec: what made the features that it was trained on.
        recipe: how such features can be made again (`pipeline.features.recipe`), where that is known.
        config: the resolved TrainConfig, as JSON values.
        files: name -> what the file must be.
    """

    url: str
    progress: Progress
    labels: tuple[str, ...]
    feature_spec: FeatureSpec
    config: dict[str, Any]
    files: dict[str, StoredTensors]
    recipe: dict[str, Any] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the weight file."""
        return self.files[_WEIGHTS].sha256


@dataclass(frozen=True)
class _Version:
    """The one field of `checkpoint.json` that all versions have."""

    format: int


@dataclass(frozen=True)
class _Description(_Version):
    """`checkpoint.json`."""

    progress: Progress
    labels: tuple[str, ...]
    feature_digest: str
    feature_spec: dict[str, Any]
    config: dict[str, Any]
    files: dict[str, StoredTensors]
    recipe: dict[str, Any] | None = None


def copy_tensors(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    predicts: nn.Module | None = None,
    loss: Mapping[str, Tensor] | None = None,
) -> dict[str, dict[str, Tensor]]:
    """What the files of a checkpoint hold, by the name of the file: copies in host memory, which training leaves alone.

    Args:
        model: whose parameters `optimiser` moves.
        optimiser: with its state.
        predicts: the model that predicts where that is another one, of the same tensors.
        loss: what later losses depend on, by name.
    """
    state = dict(_optimiser_tensors(model, optimiser))
    state |= {f"{_LOSS}//{name}": _copy(tensor) for name, tensor in (loss or {}).items()}
    if predicts is not None:
        state |= {f"{name}//{_WEIGHT}": _copy(parameter) for name, parameter in model.named_parameters()}
    weights = (model if predicts is None else predicts).state_dict()
    return {_WEIGHTS: {name: _copy(tensor) for name, tensor in weights.items()}, _OPTIMISER: state}


def write_checkpoint(
    url: str,
    *,
    progress: Progress,
    labels: tuple[str, ...],
    feature_spec: FeatureSpec,
    config: dict[str, Any],
    tensors: Mapping[str, dict[str, Tensor]],
    recipe: dict[str, Any] | None = None,
) -> None:
    """Write a checkpoint into the folder `url`, `checkpoint.json` last; `tensors` are those of `copy_tensors`.

    What is there already stops being a checkpoint before anything of it is replaced.
    """
    storage.remove(storage.join(url, INFO))
    files = {}
    for name, held in tensors.items():
        content = safetensors.torch.save(held)
        storage.write_bytes(storage.join(url, name), content)
        files[name] = StoredTensors(len(content), hashlib.sha256(content).hexdigest())
    description = _Description(
        format=_FORMAT,
        progress=progress,
        labels=labels,
        feature_digest=feature_spec.digest,
        feature_spec=asdict(feature_spec),
        config=config,
        files=files,
        recipe=recipe,
    )
    write_record(storage.join(url, INFO), description)


def read_info(url: str) -> CheckpointInfo:
    """What a checkpoint says of itself.

    Raises InputError where there is none or another version of raytad wrote it, DamagedError where it cannot be
    understood.
    """
    name = storage.join(url, INFO)
    if not storage.exists(name):
        raise InputError(f"{url}: no checkpoint there ({INFO} is missing)")
    try:
        content = storage.read_bytes(name)
        version = parse_record(content, name, _Version, "a checkpoint's description").format
        if version != _FORMAT:
            raise InputError(f"{name}: has format {version}, this version of raytad reads {_FORMAT}")
        stored = parse_record(content, name, _Description, "a checkpoint's description")
        missing = set(TO_RESUME) - stored.files.keys()
        if missing:
            raise DamagedError(f"{name}: damaged (says nothing of {', '.join(sorted(missing))})")
        spec = FeatureSpec.from_json(record_bytes(stored.feature_spec), name)
    except DamagedRecordError as error:
        raise DamagedError(str(error)) from error
    return CheckpointInfo(
        url, stored.progress, stored.labels, spec, stored.config, stored.files, stored.recipe
    )


def check_files(info: CheckpointInfo, needed: Collection[str]) -> None:
    """Read `needed` files of a checkpoint. Raises DamagedError where one is not what was written."""
    for name in needed:
        for _ in _checked_blocks(info, name):
            pass


def copy_to_predict(info: CheckpointInfo, url: str) -> None:
    """Copy what prediction needs of a checkpoint into the folder `url`, unless it is there.

    Raises InputError where the checkpoint is not there any more, DamagedError where it is damaged.
    """
    target = storage.join(url, INFO)
    if storage.exists(target):
        try:
            held = read_info(url)
            if held.digest == info.digest:
                check_files(held, TO_PREDICT)
                return
        except DamagedError:
            pass  # made anew
        storage.remove(target)
    description = storage.join(info.url, INFO)
    try:
        content = storage.read_bytes(description)
        for name in TO_PREDICT:
            with storage.replace_atomically(storage.join(url, name)) as stream:
                for block in _checked_blocks(info, name):
                    stream.write(block)
    except InputError as error:
        if storage.exists(description):
            raise
        raise InputError(
            f"{info.url}: not found any more, deleted by a training that goes on; run the command again"
        ) from error
    storage.write_bytes(target, content)


def load_weights(info: CheckpointInfo, model: nn.Module) -> None:
    """Put a checkpoint's weights and feature statistics into a model.

    Raises InputError where they do not fit or are damaged.
    """
    try:
        model.load_state_dict(_read_tensors(info, _WEIGHTS))
    except RuntimeError as error:
        raise InputError(f"{info.url}: does not fit the model ({' '.join(str(error).split())})") from error


def load_optimiser(
    info: CheckpointInfo, model: nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Continue with a checkpoint's optimiser state; rates and decay stay as `optimiser` has them.

    Where other weights predict than those that it moves, `model` gets the latter. Returns what later losses depend on.
    """
    tensors = _read_tensors(info, _OPTIMISER)
    for name, parameter in model.named_parameters():
        prefix = f"{name}//"
        state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        weight = state.pop(_WEIGHT, None)
        if weight is not None:
            parameter.data.copy_(weight)
        if state:
            optimiser.state[parameter] = {key: value.to(parameter.device) for key, value in state.items()}
    prefix = f"{_LOSS}//"
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def checkpoint_name(epoch: int, within: int = 0) -> str:
    """The folder name of the checkpoint after `epoch` epochs and `within` steps of the next."""
    return f"epoch_{epoch:05d}" + (f"_step_{within:06d}" if within else "")


def place_of(name: str) -> tuple[int, int] | None:
    """The epochs, and the steps of the next, of the checkpoint whose folder has this name; None for any other name."""
    found = _NAME.fullmatch(name)
    place = (int(found[1]), int(found[2] or 0)) if found else None
    return place if place and name == checkpoint_name(*place) else None


def _optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            yield f"{name}//{key}", _copy(value)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


def _checked_blocks(info: CheckpointInfo, name: str) -> Iterator[bytes]:
    """A file of a checkpoint, block by block. Raises DamagedError after the last where it is not what was written."""
    url = storage.join(info.url, name)
    stored, digest, size = info.files[name], hashlib.sha256(), 0
    if not storage.exists(url):
        raise DamagedError(f"{url}: missing, though the checkpoint was whole once")
    try:
        with storage.open_read(url) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                yield block
    except FileNotFoundError:
        raise DamagedError(f"{url}: missing, deleted while it was read") from None
    if size != stored.size:
        raise DamagedError(f"{url}: damaged ({size} bytes, and {stored.size} were written)")
    if digest.hexdigest() != stored.sha256:
        raise DamagedError(f"{url}: damaged (its SHA-256 is not the one that was written)")


def _read_tensors(info: CheckpointInfo, name: str) -> dict[str, Tensor]:
    content = b"".join(_checked_blocks(info, name))
    try:
        return tensors_in_todays_names(safetensors.torch.load(content))
    except SafetensorError as error:
        url = storage.join(info.url, name)
        raise DamagedError(f"{url}: damaged (not a safetensors file: {error})") from error
