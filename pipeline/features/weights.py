"""Weights: from a URL or a seed into a network, and the digest by which a store knows them."""

import hashlib
import os
import pickle
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline import storage
from pipeline.errors import InputError

RANDOM_WEIGHTS = "random"

_NAMED_KEYS = 3
_COUNTER = "num_batches_tracked"  # batch norms have it since PyTorch 0.4.1; evaluation does not use it


def parameter_digest(network: nn.Module) -> str:
    """SHA-256 over the names, shapes and exact values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random weights from `seed`; the process's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def as_local_file(url: str) -> Iterator[str]:
    """A local path with the file's content, for loaders that know only paths."""
    path = storage.local_path(url)
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(url))
        with storage.open_read(url) as source, open(copy, "wb") as target:
            shutil.copyfileobj(source, target)
        yield copy


def read_checkpoint(url: str, key: str) -> dict[str, Tensor]:
    """The state dict in a PyTorch or safetensors file; nothing in it is executed.

    Args:
        url: of the file.
        key: the setting that names it, for messages.
    Raises:
        InputError: there is no such file, or it is something else.
    """
    if not storage.exists(url):
        raise InputError(
            f"{key}={url}: no such file; give the path or URL of a checkpoint, or {RANDOM_WEIGHTS}"
        )
    with as_local_file(url) as path:
        try:
            if url.endswith(".safetensors"):
                return load_file(path)
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
        except (
            OSError,
            RuntimeError,
            EOFError,
            ValueError,
            pickle.UnpicklingError,
            SafetensorError,
        ) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"{key}={url}: cannot be read as a checkpoint ({reason})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{key}={url}: is no state dict (a flat mapping from names to tensors)")
    return state


def load_into(network: nn.Module, state: dict[str, Tensor], what: str) -> None:
    """Copy `state` into `network`; every key must fit.

    Raises InputError that begins with `what` and says which keys differ: the first few of them, and how many.
    """
    own = network.state_dict()
    wanted = {name: value for name, value in own.items() if not name.endswith(_COUNTER)}
    given = {name: value for name, value in state.items() if not name.endswith(_COUNTER)}
    misshapen = [
        f"{name} ({_shape(given[name])}, not {_shape(value)})"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    differences = [
        f"{len(names)} {label}: {_few(names)}"
        for label, names in (
            ("missing", [name for name in wanted if name not in given]),
            ("unexpected", [name for name in given if name not in wanted]),
            ("of another shape", misshapen),
        )
        if names
    ]
    if differences:
        raise InputError(f"{what}: of {len(wanted)} keys, {'; '.join(differences)}")
    network.load_state_dict(own | given)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_NAMED_KEYS]) + (", ..." if len(listed) > _NAMED_KEYS else "")
