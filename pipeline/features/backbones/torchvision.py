"""Any of torchvision's image and video classifiers without its classifier: what a new family of networks takes."""

from torch import nn
from torchvision import models
from torchvision.transforms import InterpolationMode

from models.backbones.pixels import PixelEncoder
from pipeline.errors import InputError
from pipeline.features.backbones.backbone import Backbone, Inputs
from pipeline.features.pictures import PictureSize
from pipeline.features.settings import BackboneConfig
from pipeline.features.weights import (
    RANDOM_WEIGHTS,
    load_into,
    parameter_digest,
    read_checkpoint,
    seeded,
)


def load(config: BackboneConfig) -> Backbone:
    """The network with the preprocessing of its published weights, whichever weights it gets."""
    videos = models.list_models(module=models.video)
    if config.architecture not in [*videos, *models.list_models(module=models)]:
        raise InputError(
            f"backbone.architecture={config.architecture}: torchvision has no such classifier; "
            f"video networks: {', '.join(videos)}; image networks: torchvision.models.list_models()"
        )
    published = models.get_model_weights(config.architecture)
    with seeded(config.seed):
        tag = published[config.weights] if config.weights in published.__members__ else None
        network = models.get_model(config.architecture, weights=tag)
    if tag is None and config.weights != RANDOM_WEIGHTS:
        state = read_checkpoint(config.weights, "backbone.weights")
        load_into(network, state, f"backbone.weights={config.weights}: does not fit {config.architecture}")
    weights = parameter_digest(network)
    dim = _remove_classifier(network)
    preset = (tag or published.DEFAULT).transforms()
    crop = config.image_size or preset.crop_size[0]
    size = PictureSize(
        # Of a published pair such as 128x171 the short side counts: the proportions of the picture are kept.
        short_side=crop * min(preset.resize_size) // preset.crop_size[0],
        crop=crop,
        interpolation="bicubic" if preset.interpolation is InterpolationMode.BICUBIC else "bilinear",
        exact=config.resize == "exact",
    )
    return Backbone(
        encoder=PixelEncoder(network, preset.mean, preset.std).eval().requires_grad_(False),
        inputs=Inputs(size),
        sees_clips=config.architecture in videos,
        dim=dim,
        weights=weights,
        normalisation={"mean": list(preset.mean), "std": list(preset.std)},
    )


def _remove_classifier(network: nn.Module) -> int:
    """Make the last layer with weights, which maps to classes, an identity; returns the width of its input."""
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.Conv3d)]
    name, last = layers[-1]
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, nn.Identity())
    return last.in_features if isinstance(last, nn.Linear) else last.in_channels
