"""The hyper-parameters of TP2-DETR, every row of its ablations among them, and of its loss."""

from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from models.deformable_detr.config import DeformableConfig
from models.hyperparameters import check_fields, hyperparameter
from models.loss_config import LossConfig, SegmentForm, TermWeights
from models.pyramids.choices import NORM_GROUPS, Downsampling


@dataclass(frozen=True, kw_only=True)
class TP2DETRConfig(DeformableConfig):
    """Hyper-parameters beyond those of the baseline; the defaults are TP2-DETR's for THUMOS14.

    `pyramid`, Table 1: "direct downsampling", "CNN-based (basic)", "CNN-based (enhanced)" and
    "Transformer-based".

    `stem` says what level 1 is. "paper": the features themselves (3.1). "released": what a block of the
    pyramid makes of them at full resolution, with "convolution" two convolutions and two residual blocks.
    "auto": a block for "sgp" and "transformer", without which the size of the published model does not come
    out, and the features for "convolution". Direct downsampling has nothing but the features.

    `salience_on`, Tables 3 and 4: which features a head tells foreground from background on, in training only.
    `salience_head`, Table 3: "mlp" is the unified head on all levels side by side; the others give each level a
    CNN of its own, as GAP has it, and take the maximum, the mean or a learned mean of its scores.

    `window`, `sgp_ffn_dim` and `salience_upsampling` may be set where nothing uses them: they differ between
    datasets and sizes, and are no rows of an ablation.
    """

    name: Literal["tp2detr"] = hyperparameter("tp2detr", meaning="the detector")
    # Table 2.
    num_levels: int = hyperparameter(
        4, meaning="levels of the pyramid, each at half the rate of the one before"
    )
    pyramid: Literal["direct", "convolution", "sgp", "transformer"] = hyperparameter(
        "transformer", meaning="the temporal feature pyramid (3.1, Table 1)"
    )
    # "released" for "sgp" and "transformer", see above.
    stem: Literal["auto", "paper", "released"] = hyperparameter(
        "auto", meaning="what level 1 of the pyramid is"
    )
    # Released code (Eq. 7, 8 and 11: "after").
    downsampling: Downsampling = hyperparameter("before", meaning="where in a block the resolution is halved")
    # Table 2 (ActivityNet: 17).
    window: int = hyperparameter(9, meaning="tokens that the transformer's attention sees; odd")
    # Released code; Eq. 9 and 10 call it a hyper-parameter without a value.
    alpha: float = hyperparameter(1.0, meaning="weight of the transformer's residual branches")
    # Released code (ActionFormer: learned for each channel).
    learnable_alpha: bool = hyperparameter(False, meaning="learn alpha, for each channel")
    # Unstated; follows the released code: w of Eq. 5.
    sgp_kernel: int = hyperparameter(1, meaning="tokens of SGP's narrow window; odd")
    # Unstated; follows the released code.
    sgp_ffn_dim: int = hyperparameter(768, meaning="hidden channels of SGP's feed-forward blocks")
    # 3.2, Tables 3 and 4: "both" adds the pyramid.
    salience_on: Literal["none", "encoder", "both"] = hyperparameter(
        "both", meaning="where a head tells foreground from background, in training only"
    )
    salience_head: Literal["mlp", "cnn_max", "cnn_mean", "cnn_adaptive"] = hyperparameter(
        "mlp", meaning="the salience head (3.2, Table 3)"
    )
    # Released code; linear for ActivityNet.
    salience_upsampling: Literal["nearest", "linear"] = hyperparameter(
        "nearest", meaning="how coarse levels come to the resolution of the finest"
    )
    # Released code (3.2 speaks of a "shared" and of a "second" head).
    share_salience_head: bool = hyperparameter(True, meaning="one salience head for pyramid and encoder")

    def __post_init__(self) -> None:
        super().__post_init__()
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
            "salience_head": (self.salience_on == "none", "salience_on='both' or 'encoder'"),
            "share_salience_head": (self.salience_on != "both", "salience_on='both'"),
        }
        defaults = {field.name: field.default for field in fields(self)}
        for name, (missing, what) in needs.items():
            if missing and getattr(self, name) != defaults[name]:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} needs {what}, not pyramid={self.pyramid!r} with "
                    f"salience_on={self.salience_on!r}"
                )

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        return super().tiny(**({"sgp_ffn_dim": 48} | changes))


@dataclass(frozen=True, kw_only=True)
class SalienceConfig:
    """What the salience heads count; the defaults are TP2-DETR's."""

    weight: float = hyperparameter(
        3.0, meaning="weight of salience in the whole loss"
    )  # Table 2 (ActivityNet: 2)
    # Released code (Eq. 18: both places alike).
    pyramid: float = hyperparameter(0.5, meaning="weight of the pyramid's salience")
    encoder: float = hyperparameter(1.5, meaning="weight of the encoder's salience")  # released code
    # Released code, with the criterion's focal_alpha and focal_gamma (Eq. 18: "bce").
    form: Literal["focal", "bce"] = hyperparameter("focal", meaning="loss of a token")
    # Released code (Eq. 18: "sum", which would dwarf all other terms).
    over_time: Literal["mean", "sum"] = hyperparameter("mean", meaning="what becomes of a sample's tokens")

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("weight", "pyramid", "encoder"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")

    def weight_of(self, place: str) -> float:
        """What a place of `DetectorOutput.salience` counts in the whole loss."""
        return self.weight * {"pyramid": self.pyramid, "encoder": self.encoder}[place]


@dataclass(frozen=True, kw_only=True)
class TP2DETRLossConfig(LossConfig):
    """TP2-DETR's loss."""

    name: Literal["tp2detr"] = hyperparameter("tp2detr", meaning="the detector whose loss it is")
    # 4.
    match: TermWeights = hyperparameter(
        TermWeights(classification=2.0, l1=5.0, tiou=2.0), meaning="weights of the matching cost"
    )
    # 4 (released code: classification 3).
    loss: TermWeights = hyperparameter(
        TermWeights(classification=2.0, l1=5.0, tiou=2.0), meaning="weights of the loss"
    )
    # Unstated; follows the released code.
    l1_form: SegmentForm = hyperparameter("centre_width", meaning="what the L1 distance compares")
    salience: SalienceConfig = hyperparameter(
        SalienceConfig(), meaning="the early supervision of salience (3.2)"
    )
