"""The hyper-parameters of the Deformable DETR baseline and of its loss."""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from models.hyperparameters import check_fields, hyperparameter
from models.loss_config import LossConfig, SegmentForm, TermWeights


@dataclass(frozen=True, kw_only=True)
class DeformableConfig:
    """What every detector on the baseline's encoder and decoder has; "released code" is TP2-DETR's."""

    dim: int = hyperparameter(512, meaning="channels of a token")  # unstated; follows the released code
    num_heads: int = hyperparameter(8, meaning="attention heads")  # unstated; follows the released code
    # Unstated; follows the released code.
    ffn_dim: int = hyperparameter(2048, meaning="hidden channels of feed-forward blocks")
    # TP2-DETR Table 2 (ActivityNet: 2).
    encoder_layers: int = hyperparameter(3, meaning="layers of the encoder")
    # TP2-DETR Table 2 (ActivityNet: 3).
    decoder_layers: int = hyperparameter(5, meaning="layers of the decoder")
    # TP2-DETR Table 4: the baseline has no pyramid.
    num_levels: int = hyperparameter(
        1, meaning="levels of the pyramid, each at half the rate of the one before"
    )
    # TP2-DETR Table 2, "reference points".
    encoder_points: int = hyperparameter(4, meaning="sampling points of each head and level in the encoder")
    # TP2-DETR Table 2 (ActivityNet: 6).
    decoder_points: int = hyperparameter(4, meaning="sampling points of each head and level in the decoder")
    # TP2-DETR Table 2 (ActivityNet: 30).
    num_queries: int = hyperparameter(40, meaning="proposals of a window")
    dropout: float = hyperparameter(0.1, meaning="dropout")  # unstated; follows the released code
    # Unstated; the released code refines and detaches the references after every layer.
    refine: bool = hyperparameter(
        True, meaning="let each decoder layer look where the one before it found segments"
    )
    # Unstated; follows the released code (bias -log 99).
    class_prior: float = hyperparameter(0.01, meaning="probability of every class at the start")
    # Unstated; follows the released code: first widths are sigmoid(-2) = 0.12.
    width_bias: float = hyperparameter(-2.0, meaning="bias of the first widths, before the sigmoid")

    def __post_init__(self) -> None:
        check_fields(self)
        if self.dim % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} must divide dim={self.dim}")
        if self.dim % 2:
            raise ValueError(f"dim={self.dim} must be even (sine positions)")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must lie in [0, 1)")
        if not 0 < self.class_prior < 1:
            raise ValueError(f"class_prior={self.class_prior} must lie strictly between 0 and 1")

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        small = cls(dim=32, num_heads=4, ffn_dim=64, encoder_layers=1, decoder_layers=2, num_queries=8)
        return replace(small, **changes)


@dataclass(frozen=True, kw_only=True)
class DeformableDETRConfig(DeformableConfig):
    """Hyper-parameters; the defaults are TP2-DETR's for THUMOS14.

    `num_levels=4` is TP2-DETR's "direct downsampling" variant.
    """

    name: Literal["deformable_detr"] = hyperparameter("deformable_detr", meaning="the detector")


@dataclass(frozen=True, kw_only=True)
class DeformableDETRLossConfig(LossConfig):
    """The baseline's loss; the weights are TP2-DETR's."""

    name: Literal["deformable_detr"] = hyperparameter(
        "deformable_detr", meaning="the detector whose loss it is"
    )
    # TP2-DETR 4.
    match: TermWeights = hyperparameter(
        TermWeights(classification=2.0, l1=5.0, tiou=2.0), meaning="weights of the matching cost"
    )
    loss: TermWeights = hyperparameter(
        TermWeights(classification=2.0, l1=5.0, tiou=2.0), meaning="weights of the loss"
    )
    # Unstated; TP2-DETR's released code.
    l1_form: SegmentForm = hyperparameter("centre_width", meaning="what the L1 distance compares")
