"""ActionFormer: points on a pyramid of local attention; with max-pooling in its place TemporalMaxer."""

from typing import TYPE_CHECKING, Any

from models.actionformer.config import ActionFormerConfig, ActionFormerLossConfig

if TYPE_CHECKING:
    from models.actionformer.model import ActionFormer

__all__ = ["ActionFormer", "ActionFormerConfig", "ActionFormerLossConfig"]


def __getattr__(name: str) -> Any:
    if name == "ActionFormer":  # imported when it is asked for: settings need only the configs, and no torch
        from models.actionformer.model import ActionFormer

        return ActionFormer
    raise AttributeError(name)
