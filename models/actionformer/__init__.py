"""ActionFormer: points on a pyramid of local attention; with max-pooling in its place TemporalMaxer."""

from typing import TYPE_CHECKING

from models.actionformer.config import ActionFormerConfig, ActionFormerLossConfig
from models.late import imported_late

if TYPE_CHECKING:
    from models.actionformer.model import ActionFormer

__all__ = ["ActionFormer", "ActionFormerConfig", "ActionFormerLossConfig"]

__getattr__ = imported_late(__name__, ActionFormer="model")
