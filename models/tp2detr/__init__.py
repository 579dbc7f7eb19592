"""TP2-DETR: class-agnostic action proposals from a temporal feature pyramid and deformable attention."""

from typing import TYPE_CHECKING

from models.late import imported_late
from models.tp2detr.config import TP2DETRConfig, TP2DETRLossConfig

if TYPE_CHECKING:
    from models.tp2detr.model import TP2DETR

__all__ = ["TP2DETR", "TP2DETRConfig", "TP2DETRLossConfig"]

__getattr__ = imported_late(__name__, TP2DETR="model")
