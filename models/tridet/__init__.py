"""TriDet: points on a pyramid of scalable-granularity perception, whose boundaries are distributions over tokens."""

from typing import TYPE_CHECKING

from models.late import imported_late
from models.tridet.config import TriDetConfig, TriDetLossConfig

if TYPE_CHECKING:
    from models.tridet.model import TriDet

__all__ = ["TriDet", "TriDetConfig", "TriDetLossConfig"]

__getattr__ = imported_late(__name__, TriDet="model")
