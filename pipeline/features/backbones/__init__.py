"""From a backbone's configuration to a network with its weights, its preprocessing and its place in a FeatureSpec.

A family of networks is one file here with one function, `load(config) -> Backbone`, and one line in `_FAMILIES`.
"""

from typing import Any

from pipeline.config import BackboneConfig
from pipeline.features.backbones import clip, i3d, torchvision
from pipeline.features.backbones.backbone import Backbone
from pipeline.features.spec import FeatureSpec
from pipeline.features.timeline import Timeline

_FAMILIES = {"clip": clip.load, "i3d": i3d.load, "torchvision": torchvision.load}


def load_backbone(config: BackboneConfig) -> Backbone:
    """Build the network on the CPU and load its weights.

    Raises InputError for an unknown architecture or pretrained tag, or a weight file that cannot be read or does not
    fit.
    """
    return _FAMILIES[config.kind](config)


def frame_offsets(window: int, frames_per_snippet: int) -> tuple[int, ...]:
    """The frames of a window that are sampled: the middles of `frames_per_snippet` equal parts."""
    return tuple(int((part + 0.5) * window / frames_per_snippet) for part in range(frames_per_snippet))


def feature_spec(
    config: BackboneConfig, backbone: Backbone, timeline: Timeline, flow: dict[str, Any] | None = None
) -> FeatureSpec:
    """The FeatureSpec of what `backbone` makes along `timeline`; `flow` tells how the flow that it sees is made."""
    size = backbone.inputs.size
    return FeatureSpec(
        backbone=config.name,
        weights=backbone.weights,
        preprocessing={
            "architecture": config.architecture,
            "short_side": size.short_side,
            "crop": size.crop,
            "interpolation": size.interpolation,
            "squash": size.squash,
            "resize": config.resize,
            "frames_per_snippet": config.frames_per_snippet,
            "precision": config.precision,
            **backbone.normalisation,
            **({"flow": flow} if flow else {}),
        },
        dim=backbone.dim,
        timeline=timeline,
    )
