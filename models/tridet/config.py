"""The hyper-parameters of TriDet and of its loss; "code" is the released code, "multi-label" that of its extension."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from models.hyperparameters import hyperparameter
from models.points.config import PointConfig, PointLossConfig
from models.pyramids.choices import NORM_GROUPS


@dataclass(frozen=True, kw_only=True)
class TriDetConfig(PointConfig):
    """Hyper-parameters; the defaults are the released code's for THUMOS14.

    `regression_per_class=true`, in model and loss, is the multi-label extension.
    """

    name: Literal["tridet"] = hyperparameter("tridet", meaning="the detector")
    sgp_kernel: int = hyperparameter(1, meaning="tokens of SGP's narrow window; odd")  # code
    # Code (VideoMAE V2 on MultiTHUMOS: 1.5).
    sgp_wide_factor: float = hyperparameter(5.0, meaning="widths of SGP's wide window, of the narrow and one")
    ffn_dim: int = hyperparameter(768, meaning="hidden channels of feed-forward blocks")  # code
    # Code (ActivityNet: 0.2, HACS: 0.1). At 0 the convolutions never learn, and the published figures are without them.
    sgp_init_std: float = hyperparameter(
        0.0, meaning="deviation of SGP's first weights; 0 leaves SGP out for good"
    )
    bins: int = hyperparameter(16, meaning="tokens on which a boundary may lie, beside a point's own")  # code
    input_noise: float = hyperparameter(
        5e-4, meaning="deviation of noise on the features in training"
    )  # code

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sgp_kernel % 2 == 0:
            raise ValueError(f"sgp_kernel={self.sgp_kernel} must be odd")
        if self.dim % NORM_GROUPS:
            raise ValueError(f"dim={self.dim} must be a multiple of {NORM_GROUPS}")
        if self.sgp_wide_factor <= 0:
            raise ValueError(f"sgp_wide_factor={self.sgp_wide_factor} must be positive")
        for name in ("sgp_init_std", "input_noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        return super().tiny(**({"ffn_dim": 48, "bins": 4, "sgp_init_std": 0.1} | changes))


@dataclass(frozen=True, kw_only=True)
class TriDetLossConfig(PointLossConfig):
    """TriDet's loss; the values are the released code's for THUMOS14."""

    name: Literal["tridet"] = hyperparameter("tridet", meaning="the detector whose loss it is")
    iou_power: float = hyperparameter(
        0.2, meaning="exponent of a segment's tIoU as the weight of its classes' loss"
    )
