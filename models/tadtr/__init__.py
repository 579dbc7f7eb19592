"""TadTR: the Deformable DETR baseline at its own sizes, with a head that tells how well a segment fits."""

from typing import TYPE_CHECKING

from models.late import imported_late
from models.tadtr.config import TadTRConfig, TadTRLossConfig

if TYPE_CHECKING:
    from models.tadtr.model import TadTR

__all__ = ["TadTR", "TadTRConfig", "TadTRLossConfig"]

__getattr__ = imported_late(__name__, TadTR="model")
