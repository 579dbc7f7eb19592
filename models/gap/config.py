"""The hyper-parameters of GAP and of its loss; "code" is the released code."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from models.hyperparameters import check_fields, hyperparameter
from models.loss_config import TermWeights
from models.tp2detr.config import SalienceConfig, TP2DETRLossConfig


@dataclass(frozen=True, kw_only=True)
class GAPConfig:
    """Hyper-parameters; the defaults are the released code's for THUMOS14."""

    name: Literal["gap"] = hyperparameter("gap", meaning="the detector")
    dim: int = hyperparameter(512, meaning="channels of a token")  # code
    num_heads: int = hyperparameter(8, meaning="attention heads")  # code
    ffn_dim: int = hyperparameter(2048, meaning="hidden channels of feed-forward blocks")  # code
    encoder_layers: int = hyperparameter(2, meaning="layers of the encoder")  # code
    # Code (ActivityNet: 2).
    decoder_layers: int = hyperparameter(5, meaning="layers of the decoder")
    # Code (ActivityNet: 30).
    num_queries: int = hyperparameter(40, meaning="proposals of a window")
    dropout: float = hyperparameter(0.1, meaning="dropout")  # code
    class_prior: float = hyperparameter(0.01, meaning="probability of every class at the start")  # code
    # Code (ActivityNet: true); learns at optimiser.pyramid_lr.
    convolve: bool = hyperparameter(False, meaning="a convolution over three snippets before all else")
    # Code.
    salience_on: Literal["none", "encoder"] = hyperparameter(
        "encoder", meaning="where a head tells foreground from background, in training only"
    )
    # Code: "static rectifying".
    rectify: bool = hyperparameter(True, meaning="let a proposal read the features that it lies on")
    roi_bins: int = hyperparameter(16, meaning="parts of a proposal that it reads")  # code
    # Unstated; the code has it, and an option that drops it (`refine_drop_saResidual`).
    rectify_residual: bool = hyperparameter(
        True, meaning="keep what was read when rectified proposals look at each other"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.dim % (2 * self.num_heads):
            raise ValueError(f"num_heads={self.num_heads} must divide dim={self.dim} into even parts")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")
        if not 0 < self.class_prior < 1:
            raise ValueError(f"class_prior={self.class_prior} must lie strictly between 0 and 1")
        if not self.rectify:
            defaults = {field.name: field.default for field in fields(self)}
            for name in ("roi_bins", "rectify_residual"):
                if getattr(self, name) != defaults[name]:
                    raise ValueError(f"{name}={getattr(self, name)} needs rectify=true")

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        small = cls(dim=32, num_heads=4, ffn_dim=64, encoder_layers=1, decoder_layers=2, num_queries=8)
        return replace(small, **changes)


@dataclass(frozen=True, kw_only=True)
class GAPLossConfig(TP2DETRLossConfig):
    """GAP's loss, from which TP²-DETR has its own; the values are the released code's for THUMOS14.

    Only the last layer predicts.
    """

    name: Literal["gap"] = hyperparameter("gap", meaning="the detector whose loss it is")  # type: ignore[assignment]
    loss: TermWeights = hyperparameter(
        TermWeights(classification=3.0, l1=5.0, tiou=2.0), meaning="weights of the loss"
    )
    # Code (ActivityNet: weight 2).
    salience: SalienceConfig = hyperparameter(
        SalienceConfig(weight=3.0, pyramid=0.0, encoder=1.0), meaning="the loss of the salience head"
    )
