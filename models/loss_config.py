"""What counts how much in the set prediction loss; each detector's own numbers stand in its folder."""

from dataclasses import dataclass
from typing import Literal

from models.hyperparameters import check_fields, hyperparameter

SegmentForm = Literal["start_end", "centre_width"]


@dataclass(frozen=True, kw_only=True)
class TermWeights:
    """How much each term of a matching cost or of a loss counts."""

    classification: float = hyperparameter(meaning="weight of the focal term of the classes")
    l1: float = hyperparameter(meaning="weight of the L1 distance of the segments")
    tiou: float = hyperparameter(meaning="weight of the tIoU of the segments")

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if weight < 0:
                raise ValueError(f"{name}={weight} must not be negative")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The set prediction loss that all detectors share."""

    match: TermWeights = hyperparameter(meaning="weights of the matching cost")
    loss: TermWeights = hyperparameter(meaning="weights of the loss")
    l1_form: SegmentForm = hyperparameter(meaning="what the L1 distance compares")
    focal_alpha: float = hyperparameter(0.25, meaning="weight of positives in the focal loss")  # RetinaNet
    focal_gamma: float = hyperparameter(2.0, meaning="exponent of the focal loss")  # RetinaNet
    deep_supervision: bool = hyperparameter(
        True, meaning="supervise every decoder layer, each matched anew, not only the last"
    )
    # Unstated in DualDETR, as is all training of its dense head; one is set prediction.
    encoder_matches: int = hyperparameter(
        1, meaning="tokens of the dense proposals that are matched with each target"
    )
    # Beyond the papers, which match every action with a query of its own.
    shared_tiou: float = hyperparameter(
        1.0, meaning="actions of several classes that overlap by this tIoU are one target; 1 keeps them apart"
    )
    encoder_weight: float = hyperparameter(
        1.0, meaning="weight of the encoder's dense proposals, if there are any"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.focal_alpha <= 1:
            raise ValueError(f"focal_alpha={self.focal_alpha} must lie in [0, 1]")
        if not 0 < self.shared_tiou <= 1:
            raise ValueError(f"shared_tiou={self.shared_tiou} must lie in (0, 1]")
        for name in ("focal_gamma", "encoder_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
