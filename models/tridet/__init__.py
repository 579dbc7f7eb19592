"""TriDet: points on a pyramid of scalable-granularity perception, whose boundaries are distributions over tokens."""

from typing import TYPE_CHECKING, Any

from models.tridet.config import TriDetConfig, TriDetLossConfig

if TYPE_CHECKING:
    from models.tridet.model import TriDet

__all__ = ["TriDet", "TriDetConfig", "TriDetLossConfig"]


def __getattr__(name: str) -> Any:
    if name == "TriDet":  # imported when it is asked for: settings need only the configs, and no torch
        from models.tridet.model import TriDet

        return TriDet
    raise AttributeError(name)
