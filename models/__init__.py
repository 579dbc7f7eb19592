"""What computes: detectors and feature networks in pure PyTorch; `build_detector(config)` makes one."""

from torch import nn

from models.deformable_detr import DeformableDETR, DeformableDETRConfig
from models.dualdetr import DualDETR, DualDETRConfig
from models.tp2detr import TP2DETR, TP2DETRConfig

DetectorConfig = DeformableDETRConfig | DualDETRConfig | TP2DETRConfig

DETECTORS: dict[str, tuple[type[nn.Module], type[DetectorConfig]]] = {
    "deformable_detr": (DeformableDETR, DeformableDETRConfig),
    "dualdetr": (DualDETR, DualDETRConfig),
    "tp2detr": (TP2DETR, TP2DETRConfig),
}


def build_detector(config: DetectorConfig) -> nn.Module:
    """The detector that `config` describes, freshly initialised."""
    for detector, config_type in DETECTORS.values():
        if type(config) is config_type:
            return detector(config)
    raise TypeError(f"{type(config).__name__} is not the config of a detector")
