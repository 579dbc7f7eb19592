"""The hyper-parameters of ActionFormer, with TemporalMaxer among them, and of its loss; "code" is the released code."""

from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from models.hyperparameters import hyperparameter
from models.points.config import PointConfig, PointLossConfig


@dataclass(frozen=True, kw_only=True)
class ActionFormerConfig(PointConfig):
    """Hyper-parameters; the defaults are the released code's for THUMOS14.

    `pyramid="max_pool" stem_blocks=0` is TemporalMaxer.
    """

    name: Literal["actionformer"] = hyperparameter("actionformer", meaning="the detector")
    pyramid: Literal["transformer", "max_pool"] = hyperparameter(
        "transformer", meaning="what makes a level from the one before; max_pool: TemporalMaxer"
    )
    num_heads: int = hyperparameter(4, meaning="attention heads")  # code
    ffn_dim: int = hyperparameter(2048, meaning="hidden channels of feed-forward blocks")  # code
    # Code (ActivityNet: 7).
    window: int = hyperparameter(19, meaning="tokens that the attention of a block sees; odd")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window % 2 == 0:
            raise ValueError(f"window={self.window} must be odd")
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} must divide dim={self.dim}")
        if self.pyramid == "max_pool" and self.stem_blocks == 0:
            defaults = {field.name: field.default for field in fields(self)}
            for name in ("num_heads", "ffn_dim", "window", "drop_path", "layer_scale"):
                if getattr(self, name) != defaults[name]:
                    raise ValueError(
                        f"{name}={getattr(self, name)} needs pyramid='transformer' or stem_blocks"
                    )

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        return super().tiny(**({"num_heads": 4, "ffn_dim": 64, "window": 5} | changes))


@dataclass(frozen=True, kw_only=True)
class ActionFormerLossConfig(PointLossConfig):
    """ActionFormer's loss; the values are the released code's for THUMOS14."""

    name: Literal["actionformer"] = hyperparameter("actionformer", meaning="the detector whose loss it is")
