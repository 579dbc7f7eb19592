"""GAP: zero-shot proposals by Conditional DETR, rectified by the features that they lie on."""

from typing import TYPE_CHECKING, Any

from models.gap.config import GAPConfig, GAPLossConfig

if TYPE_CHECKING:
    from models.gap.model import GAP

__all__ = ["GAP", "GAPConfig", "GAPLossConfig"]


def __getattr__(name: str) -> Any:
    if name == "GAP":  # imported when it is asked for: settings need only the configs, and no torch
        from models.gap.model import GAP

        return GAP
    raise AttributeError(name)
