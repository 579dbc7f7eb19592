"""CLIP's image towers: any architecture and pretrained tag of open_clip, with the model's own preprocessing."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import open_clip
import torch
from torch import Tensor, nn

from models.backbones.pixels import PixelEncoder
from pipeline import storage
from pipeline.errors import InputError
from pipeline.features.backbones.backbone import Backbone, Inputs
from pipeline.features.pictures import PictureSize
from pipeline.features.settings import BackboneConfig
from pipeline.features.weights import RANDOM_WEIGHTS, as_local_file, parameter_digest, seeded


def load(config: BackboneConfig) -> Backbone:
    """The image tower with its weights; raises InputError for a name, tag or file that open_clip cannot load."""
    model = load_model(config)
    tower, preprocessing = model.visual, open_clip.get_model_preprocess_cfg(model)
    side = config.image_size or _side(preprocessing["size"])
    if preprocessing["resize_mode"] == "longest":
        raise InputError(
            f"backbone.architecture={config.architecture}: pads its pictures (resize_mode longest), "
            "which is not supported; choose a model with resize_mode shortest or squash"
        )
    mean, std = preprocessing["mean"], preprocessing["std"]
    encoder = PixelEncoder(tower, mean, std).eval().requires_grad_(False)
    with torch.inference_mode():
        dim = encoder(torch.zeros(1, side, side, 3, dtype=torch.uint8)).shape[-1]
    size = PictureSize(
        short_side=side,
        crop=side,
        # As open_clip's own transform has it: whatever is not bilinear is bicubic.
        interpolation="bilinear" if preprocessing["interpolation"] == "bilinear" else "bicubic",
        squash=preprocessing["resize_mode"] == "squash",
        exact=config.resize == "exact",
    )
    return Backbone(
        encoder=encoder,
        inputs=Inputs(size),
        sees_clips=False,
        dim=dim,
        weights=parameter_digest(tower),
        normalisation={"mean": list(mean), "std": list(std)},
    )


class TwoTowers(Protocol):
    """What open_clip makes: a tower of pictures and one of words, into one space."""

    visual: nn.Module
    logit_scale: Tensor

    def encode_text(self, text: Tensor, normalize: bool = False) -> Tensor:
        """Vectors `[N, dim]` of tokenised texts `[N, context]`."""
        ...


def load_model(config: BackboneConfig) -> TwoTowers:
    """Both towers, of pictures and of words, as open_clip has them; raises what `load` raises."""
    if config.architecture not in open_clip.list_models():
        raise InputError(
            f"backbone.architecture={config.architecture}: open_clip has no such model; "
            f"it has {', '.join(open_clip.list_models())}"
        )
    options = {"force_image_size": config.image_size} if config.image_size else {}
    tags = open_clip.list_pretrained_tags_by_model(config.architecture)
    # A failed tag would only be logged by open_clip's root logger; a missing one must stop the job instead.
    with seeded(config.seed), _quiet_open_clip():
        if config.weights == RANDOM_WEIGHTS:
            model = open_clip.create_model(
                config.architecture, pretrained=None, pretrained_text=False, **options
            )
        elif config.weights in tags:
            model = _create(config, config.weights, options)
        elif storage.exists(config.weights):
            with as_local_file(config.weights) as path:
                model = _create(config, path, options)
        else:
            raise InputError(
                f"backbone.weights={config.weights}: neither a file nor a tag of {config.architecture} "
                f"({', '.join(tags) or 'it has none'}) nor {RANDOM_WEIGHTS}"
            )
    return cast(TwoTowers, model.eval())


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
