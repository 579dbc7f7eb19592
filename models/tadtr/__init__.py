"""TadTR: the Deformable DETR baseline at its own sizes, with a head that tells how well a segment fits."""

from typing import TYPE_CHECKING, Any

from models.tadtr.config import TadTRConfig, TadTRLossConfig

if TYPE_CHECKING:
    from models.tadtr.model import TadTR

__all__ = ["TadTR", "TadTRConfig", "TadTRLossConfig"]


def __getattr__(name: str) -> Any:
    if name == "TadTR":  # imported when it is asked for: settings need only the configs, and no torch
        from models.tadtr.model import TadTR

        return TadTR
    raise AttributeError(name)
