"""DualDETR: actions found from their instance and from their boundaries at once, by aligned queries."""

from models.dualdetr.config import DualDETRConfig
from models.dualdetr.model import DualDETR

__all__ = ["DualDETR", "DualDETRConfig"]
