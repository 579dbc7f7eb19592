"""Deformable DETR along time: the baseline that DualDETR and TP2-DETR both start from."""

from typing import TYPE_CHECKING

from models.deformable_detr.config import DeformableDETRConfig, DeformableDETRLossConfig
from models.late import imported_late

if TYPE_CHECKING:
    from models.deformable_detr.model import DeformableDETR

__all__ = ["DeformableDETR", "DeformableDETRConfig", "DeformableDETRLossConfig"]

__getattr__ = imported_late(__name__, DeformableDETR="model")
