"""TP2-DETR: class-agnostic action proposals from a temporal feature pyramid and deformable attention."""

from models.tp2detr.config import TP2DETRConfig
from models.tp2detr.model import TP2DETR

__all__ = ["TP2DETR", "TP2DETRConfig"]
