"""The hyper-parameters of TP2-DETR, every row of its ablations among them."""

from dataclasses import dataclass, fields
from typing import Any, Literal, Self, get_args, get_origin

from models.deformable_detr import DeformableDETRConfig
from models.pyramids.downsampling import Downsampling
from models.pyramids.sgp import NORM_GROUPS


@dataclass(frozen=True, kw_only=True)
class TP2DETRConfig(DeformableDETRConfig):
    """Hyper-parameters beyond those of the baseline; the defaults are TP2-DETR's for THUMOS14.

    `pyramid`, Table 1: "direct downsampling", "CNN-based (basic)", "CNN-based (enhanced)" and
    "Transformer-based".

    `stem` says what level 1 is. "paper": the features themselves (3.1). "released": what a block of the
    pyramid makes of them at full resolution, with "convolution" two convolutions and two residual blocks.
    "auto": a block for "sgp" and "transformer", without which the size of the published model does not come
    out, and the features for "convolution". Direct downsampling has nothing but the features.

    `salient_on`, Tables 3 and 4: which features a head tells foreground from background on, in training only.
    `salient_head`, Table 3: "mlp" is the unified head on all levels side by side; the others give each level a
    CNN of its own, as GAP has it, and take the maximum, the mean or a learned mean of its scores.

    `window`, `sgp_ffn_dim` and `salient_upsampling` may be set where nothing uses them: they differ between
    datasets and sizes, and are no rows of an ablation.
    """

    num_levels: int = 4  # Table 2
    pyramid: Literal["direct", "convolution", "sgp", "transformer"] = "transformer"  # 3.1, Table 1
    stem: Literal["auto", "paper", "released"] = "auto"  # "released" for "sgp" and "transformer", see above
    downsampling: Downsampling = "before"  # released code (Eq. 7, 8 and 11: "after")
    window: int = 9  # Table 2 (ActivityNet: 17), of the transformer's attention
    alpha: float = 1.0  # released code; Eq. 9 and 10 call it a hyper-parameter without a value
    learnable_alpha: bool = False  # released code (ActionFormer: learned for each channel)
    sgp_kernel: int = 1  # unstated; follows the released code: w of Eq. 5
    sgp_ffn_dim: int = 768  # unstated; follows the released code
    salient_on: Literal["none", "encoder", "both"] = "both"  # 3.2, Tables 3 and 4: "both" adds the pyramid
    salient_head: Literal["mlp", "cnn_max", "cnn_mean", "cnn_adaptive"] = "mlp"  # 3.2, Table 3
    salient_upsampling: Literal["nearest", "linear"] = "nearest"  # released code; linear for ActivityNet
    share_salient_head: bool = True  # released code (3.2 speaks of a "shared" and of a "second" head)

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in fields(self):
            value = getattr(self, field.name)
            if get_origin(field.type) is Literal and value not in get_args(field.type):
                raise ValueError(f"{field.name}={value!r} must be one of {', '.join(get_args(field.type))}")
        for name in ("window", "sgp_kernel"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name}={getattr(self, name)} must be odd")
        if self.pyramid == "sgp" and self.dim % NORM_GROUPS:
            raise ValueError(f"dim={self.dim} must be a multiple of {NORM_GROUPS} with pyramid='sgp'")
        self._refuse_settings_without_effect()

    def _refuse_settings_without_effect(self) -> None:
        """An ablation that changes nothing would be reported as one that does not matter."""
        no_attention = self.pyramid != "transformer"
        needs = {
            "downsampling": (self.pyramid not in ("sgp", "transformer"), "pyramid='sgp' or 'transformer'"),
            "alpha": (no_attention, "pyramid='transformer'"),
            "learnable_alpha": (no_attention, "pyramid='transformer'"),
            "sgp_kernel": (self.pyramid != "sgp", "pyramid='sgp'"),
            "salient_head": (self.salient_on == "none", "salient_on='both' or 'encoder'"),
            "share_salient_head": (self.salient_on != "both", "salient_on='both'"),
        }
        defaults = {field.name: field.default for field in fields(self)}
        for name, (missing, what) in needs.items():
            if missing and getattr(self, name) != defaults[name]:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} needs {what}, not pyramid={self.pyramid!r} with "
                    f"salient_on={self.salient_on!r}"
                )

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        return super().tiny(**({"sgp_ffn_dim": 48} | changes))
