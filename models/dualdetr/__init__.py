"""DualDETR: actions found from their instance and from their boundaries at once, by aligned queries."""

from typing import TYPE_CHECKING

from models.dualdetr.config import DualDETRConfig, DualDETRLossConfig
from models.late import imported_late

if TYPE_CHECKING:
    from models.dualdetr.model import DualDETR

__all__ = ["DualDETR", "DualDETRConfig", "DualDETRLossConfig"]

__getattr__ = imported_late(__name__, DualDETR="model")
