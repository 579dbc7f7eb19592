"""The hyper-parameters of TadTR and of its loss; "released code" is TadTR's own."""

from dataclasses import dataclass
from typing import Any, Literal, Self

from models.actionness.config import ActionnessConfig, ActionnessLossConfig
from models.deformable_detr.config import DeformableConfig
from models.hyperparameters import hyperparameter
from models.loss_config import SegmentForm, TermWeights


@dataclass(frozen=True, kw_only=True)
class TadTRConfig(ActionnessConfig, DeformableConfig):
    """Hyper-parameters; the defaults are the released code's for THUMOS14.

    `actionness=false` leaves the Deformable DETR that TadTR is built on.
    """

    name: Literal["tadtr"] = hyperparameter("tadtr", meaning="the detector")
    dim: int = hyperparameter(256, meaning="channels of a token")  # released code
    ffn_dim: int = hyperparameter(1024, meaning="hidden channels of feed-forward blocks")  # released code
    encoder_layers: int = hyperparameter(4, meaning="layers of the encoder")  # released code
    decoder_layers: int = hyperparameter(4, meaning="layers of the decoder")  # released code

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_actionness()

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        return super().tiny(**({"roi_bins": 4, "actionness_dim": 16} | changes))


@dataclass(frozen=True, kw_only=True)
class TadTRLossConfig(ActionnessLossConfig):
    """TadTR's loss; the weights are the released code's."""

    name: Literal["tadtr"] = hyperparameter("tadtr", meaning="the detector whose loss it is")
    match: TermWeights = hyperparameter(
        TermWeights(classification=6.0, l1=5.0, tiou=2.0), meaning="weights of the matching cost"
    )
    loss: TermWeights = hyperparameter(
        TermWeights(classification=2.0, l1=5.0, tiou=2.0), meaning="weights of the loss"
    )
    l1_form: SegmentForm = hyperparameter("centre_width", meaning="what the L1 distance compares")
    # The released code compares a segment with the truth of all samples of a batch, by mistake.
    actionness_truth: Literal["sample", "batch"] = hyperparameter(
        "sample", meaning="whose truth tells how well a segment fits; batch: released code"
    )
