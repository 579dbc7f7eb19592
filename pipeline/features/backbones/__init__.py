"""From a backbone's configuration to a network with its weights, its preprocessing and its place in a FeatureSpec.

A family of networks is one file here with one function, `load(config) -> Backbone`, and one case in `load_backbone`.
"""

from dataclasses import replace
from typing import Any

from pipeline.features.backbones.backbone import Backbone
from pipeline.features.settings import BackboneConfig
from pipeline.features.spec import FeatureSpec
from pipeline.features.timeline import Timeline


def load_backbone(config: BackboneConfig) -> Backbone:
    """Build the network on the CPU and load its weights.

    Raises InputError for an unknown architecture or pretrained tag, or a weight file that cannot be read or does not
    fit.
    """
    # Imported here: the families' libraries take seconds, in every process that only names a backbone.
    match config.kind:
        case "clip":
            from pipeline.features.backbones.clip import load
        case "i3d":
            from pipeline.features.backbones.i3d import load
        case "torchvision":
            from pipeline.features.backbones.torchvision import load
    return load(config)


def frame_offsets(window: int, frames_per_snippet: int) -> tuple[int, ...]:
    """The frames of a window that are sampled: the middles of `frames_per_snippet` equal parts."""
    return tuple(int((part + 0.5) * window / frames_per_snippet) for part in range(frames_per_snippet))


def as_settings_say(spec: FeatureSpec, config: BackboneConfig, timeline: Timeline) -> FeatureSpec:
    """A store's spec with all that can be told of other settings without their network, which takes long to load."""
    settings = {
        "architecture": config.architecture,
        "resize": config.resize,
        "frames_per_snippet": config.frames_per_snippet,
        "precision": config.precision,
    }
    return replace(spec, backbone=config.name, preprocessing=spec.preprocessing | settings, timeline=timeline)


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
