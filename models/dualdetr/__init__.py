"""DualDETR: actions found from their instance and from their boundaries at once, by aligned queries."""

from typing import TYPE_CHECKING, Any

from models.dualdetr.config import DualDETRConfig, DualDETRLossConfig

if TYPE_CHECKING:
    from models.dualdetr.model import DualDETR

__all__ = ["DualDETR", "DualDETRConfig", "DualDETRLossConfig"]


def __getattr__(name: str) -> Any:
    if name == "DualDETR":  # imported when it is asked for: settings need only the configs, and no torch
        from models.dualdetr.model import DualDETR

        return DualDETR
    raise AttributeError(name)
