"""From a backbone's configuration to a network with its weights, its preprocessing and its place in a FeatureSpec."""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import open_clip
import torch
from torch import nn

from models.backbones.pixels import PixelEncoder
from pipeline import storage
from pipeline.config import BackboneConfig
from pipeline.errors import InputError
from pipeline.features.spec import FeatureSpec
from pipeline.features.timeline import Timeline
from pipeline.video.picture import FrameSize

RANDOM_WEIGHTS = "random"


@dataclass(frozen=True)
class Backbone:
    """A loaded feature network and how it wants its frames.

    Attributes:
        encoder: pictures `[N, S, S, 3]` uint8 -> embeddings `[N, dim]`.
        size: what becomes of a frame while it is decoded.
        dim: width of an embedding.
        weights: digest of the parameters.
        normalisation: mean and std of the input channels.
    """

    encoder: PixelEncoder
    size: FrameSize
    dim: int
    weights: str
    normalisation: dict[str, list[float]]


def frame_offsets(window: int, frames_per_snippet: int) -> tuple[int, ...]:
    """The frames of a window that are sampled: the middles of `frames_per_snippet` equal parts."""
    return tuple(int((part + 0.5) * window / frames_per_snippet) for part in range(frames_per_snippet))


def load_backbone(config: BackboneConfig) -> Backbone:
    """Build the network on the CPU and load its weights.

    Raises InputError for an unknown architecture or pretrained tag, or a weight file that cannot be read or does not
    fit.
    """
    tower, preprocessing = _load_clip(config)
    side = config.image_size or _side(preprocessing["size"])
    mean, std = tuple(preprocessing["mean"]), tuple(preprocessing["std"])
    encoder = PixelEncoder(tower, mean, std).eval().requires_grad_(False)
    with torch.inference_mode():
        dim = encoder(torch.zeros(1, side, side, 3, dtype=torch.uint8)).shape[-1]
    return Backbone(
        encoder=encoder,
        size=FrameSize(short_side=side, crop=side, interpolation=preprocessing["interpolation"]),
        dim=dim,
        weights=parameter_digest(tower),
        normalisation={"mean": list(mean), "std": list(std)},
    )


def feature_spec(config: BackboneConfig, backbone: Backbone, timeline: Timeline) -> FeatureSpec:
    """The FeatureSpec of what `backbone` makes along `timeline`."""
    return FeatureSpec(
        backbone=config.name,
        weights=backbone.weights,
        preprocessing={
            "architecture": config.architecture,
            "short_side": backbone.size.short_side,
            "crop": backbone.size.crop,
            "interpolation": backbone.size.interpolation,
            "frames_per_snippet": config.frames_per_snippet,
            "precision": config.precision,
            **backbone.normalisation,
        },
        dim=backbone.dim,
        timeline=timeline,
    )


def parameter_digest(network: nn.Module) -> str:
    """SHA-256 over the names, shapes and exact values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


class BatchedEncoder:
    """Embeds frames in batches of one fixed shape.

    A matrix product may round differently for another number of rows, so the last batch is padded to the same size:
    the embedding of a frame then does not depend on the frames around it, nor on how a video was cut into chunks.
    """

    def __init__(self, encoder: PixelEncoder, batch_size: int, device: torch.device, bf16: bool) -> None:
        self.encoder = encoder.to(device)
        self.batch_size = batch_size
        self.device = device
        self.bf16 = bf16

    def __call__(self, runs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Embeddings `[n, dim]` float32 of each run of frames `[n, S, S, 3]` uint8; batches span several runs."""
        if not runs:
            return []
        embeddings = np.concatenate([self._forward(batch) for batch in self._batches(runs)])
        ends = np.cumsum([len(run) for run in runs])
        return np.split(embeddings[: ends[-1]], ends[:-1])

    def _batches(self, runs: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        batch = np.zeros((self.batch_size, *runs[0].shape[1:]), dtype=np.uint8)
        filled = 0
        for run in runs:
            taken = 0
            while taken < len(run):
                count = min(self.batch_size - filled, len(run) - taken)
                batch[filled : filled + count] = run[taken : taken + count]
                filled, taken = filled + count, taken + count
                if filled == self.batch_size:
                    yield batch
                    filled = 0
        if filled:
            batch[filled:] = 0
            yield batch

    def _forward(self, batch: np.ndarray) -> np.ndarray:
        autocast = torch.autocast(self.device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext()
        with torch.inference_mode(), autocast:
            return self.encoder(torch.from_numpy(batch).to(self.device)).cpu().numpy()


def _load_clip(config: BackboneConfig) -> tuple[nn.Module, dict[str, Any]]:
    """The image tower and open_clip's own preprocessing configuration for it."""
    if config.architecture not in open_clip.list_models():
        raise InputError(
            f"backbone.architecture={config.architecture}: open_clip has no such model; "
            f"it has {', '.join(open_clip.list_models())}"
        )
    options = {"force_image_size": config.image_size} if config.image_size else {}
    tags = open_clip.list_pretrained_tags_by_model(config.architecture)
    # A failed tag would only be logged by open_clip's root logger; a missing one must stop the job instead.
    with torch.random.fork_rng(devices=[]), _quiet_open_clip():
        torch.manual_seed(config.seed)
        if config.weights == RANDOM_WEIGHTS:
            model = open_clip.create_model(
                config.architecture, pretrained=None, pretrained_text=False, **options
            )
        elif config.weights in tags:
            model = _create(config, config.weights, options)
        elif storage.exists(config.weights):
            with _as_local_file(config.weights) as path:
                model = _create(config, path, options)
        else:
            raise InputError(
                f"backbone.weights={config.weights}: neither a file nor a tag of {config.architecture} "
                f"({', '.join(tags) or 'it has none'}) nor {RANDOM_WEIGHTS}"
            )
    return model.visual, open_clip.get_model_preprocess_cfg(model)


def _create(config: BackboneConfig, pretrained: str, options: dict[str, Any]) -> nn.Module:
    try:
        return open_clip.create_model(
            config.architecture, pretrained=pretrained, require_pretrained=True, weights_only=True, **options
        )
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"backbone.weights={config.weights}: cannot be loaded into {config.architecture} ({reason})"
        ) from error


@contextmanager
def _as_local_file(url: str) -> Iterator[str]:
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


@contextmanager
def _quiet_open_clip() -> Iterator[None]:
    """open_clip tells its progress through the root logger; jobs tell their own."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _side(size: int | tuple[int, int] | list[int]) -> int:
    if isinstance(size, int):
        return size
    if size[0] != size[1]:
        raise InputError(
            f"backbone.architecture: takes pictures of {size[0]}x{size[1]}; only square ones are supported"
        )
    return int(size[0])
