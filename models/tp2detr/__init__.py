"""TP2-DETR: class-agnostic action proposals from a temporal feature pyramid and deformable attention."""

from typing import TYPE_CHECKING, Any

from models.tp2detr.config import TP2DETRConfig, TP2DETRLossConfig

if TYPE_CHECKING:
    from models.tp2detr.model import TP2DETR

__all__ = ["TP2DETR", "TP2DETRConfig", "TP2DETRLossConfig"]


def __getattr__(name: str) -> Any:
    if name == "TP2DETR":  # imported when it is asked for: settings need only the configs, and no torch
        from models.tp2detr.model import TP2DETR

        return TP2DETR
    raise AttributeError(name)
