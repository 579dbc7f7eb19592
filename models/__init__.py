"""What computes: detectors and feature networks in pure PyTorch; `build_detector(config)` makes one."""

from torch import nn

from models.deformable_detr import DeformableDETR, DeformableDETRConfig

DETECTORS = {"deformable_detr": (DeformableDETR, DeformableDETRConfig)}


def build_detector(config: DeformableDETRConfig) -> nn.Module:
    """The detector that `config` describes, freshly initialised."""
    for detector, config_type in DETECTORS.values():
        if type(config) is config_type:
            return detector(config)
    raise TypeError(f"{type(config).__name__} is not the config of a detector")
