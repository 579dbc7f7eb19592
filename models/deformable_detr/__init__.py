"""Deformable DETR along time: the baseline that DualDETR and TP2-DETR both start from."""

from typing import TYPE_CHECKING, Any

from models.deformable_detr.config import DeformableDETRConfig, DeformableDETRLossConfig

if TYPE_CHECKING:
    from models.deformable_detr.model import DeformableDETR

__all__ = ["DeformableDETR", "DeformableDETRConfig", "DeformableDETRLossConfig"]


def __getattr__(name: str) -> Any:
    if (
        name == "DeformableDETR"
    ):  # imported when it is asked for: settings need only the configs, and no torch
        from models.deformable_detr.model import DeformableDETR

        return DeformableDETR
    raise AttributeError(name)
