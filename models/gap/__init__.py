"""GAP: zero-shot proposals by Conditional DETR, rectified by the features that they lie on."""

from typing import TYPE_CHECKING

from models.gap.config import GAPConfig, GAPLossConfig
from models.late import imported_late

if TYPE_CHECKING:
    from models.gap.model import GAP

__all__ = ["GAP", "GAPConfig", "GAPLossConfig"]

__getattr__ = imported_late(__name__, GAP="model")
