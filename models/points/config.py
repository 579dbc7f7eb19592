"""What point detectors share: the hyper-parameters of their networks and of their loss.

"Code" is the released code of ActionFormer, which TriDet's follows wherever nothing else is said.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from models.hyperparameters import check_fields, hyperparameter

# Of both a model and its loss, which must agree.
_LEVELS_MEANING = "levels of the pyramid, each at half the rate of the one before"
_PER_CLASS_MEANING = "a segment for each class at a point, for classes that overlap"


@dataclass(frozen=True, kw_only=True)
class PointConfig:
    """A detector of one segment a point: every token of every level of a pyramid."""

    dim: int = hyperparameter(512, meaning="channels of a token")  # code
    embedding_layers: int = hyperparameter(2, meaning="convolutions from the features to tokens")  # code
    # Code; OpenTAD: 0.2 on MultiTHUMOS.
    input_dropout: float = hyperparameter(0.0, meaning="part of the features' channels left out in training")
    # Code.
    stem_blocks: int = hyperparameter(2, meaning="blocks before the first level", least=0)
    num_levels: int = hyperparameter(6, meaning=_LEVELS_MEANING)  # code
    # Code.
    drop_path: float = hyperparameter(0.1, meaning="probability that a training sample skips a branch")
    # Code.
    layer_scale: float = hyperparameter(
        1e-4, meaning="what residual branches count at first, learned by channel"
    )
    head_layers: int = hyperparameter(2, meaning="hidden convolutions of a head")  # code
    # TriDet's multi-label extension; one segment a point, code.
    regression_per_class: bool = hyperparameter(False, meaning=_PER_CLASS_MEANING)
    class_prior: float = hyperparameter(0.01, meaning="probability of every class at the start")  # code

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("drop_path", "input_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1)")
        if not 0 < self.class_prior < 1:
            raise ValueError(f"class_prior={self.class_prior} must lie strictly between 0 and 1")

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model small enough for tests; `changes` overrides single fields."""
        return replace(cls(dim=32, embedding_layers=1, stem_blocks=1, head_layers=1), **changes)


@dataclass(frozen=True, kw_only=True)
class PointLossConfig:
    """The loss that all point detectors share.

    A point of level l answers for an action that it lies in, `centre_radius` strides or less from its centre, if the
    farther end lies within the level's range: up to `first_reach` tokens of the features on the first level, from there
    to twice as many on the second, and so on; the last has no end.
    """

    num_levels: int = hyperparameter(
        6, meaning="levels that share out actions by length; the model's"
    )  # code
    regression_per_class: bool = hyperparameter(False, meaning=_PER_CLASS_MEANING)  # the model's
    centre_radius: float = hyperparameter(
        1.5, meaning="strides from an action's centre to its points"
    )  # code
    first_reach: float = hyperparameter(4.0, meaning="farthest end of actions of the first level")  # code
    focal_alpha: float = hyperparameter(0.25, meaning="weight of positives in the focal loss")  # RetinaNet
    focal_gamma: float = hyperparameter(2.0, meaning="exponent of the focal loss")  # RetinaNet
    # Code.
    regression: Literal["diou", "iou"] = hyperparameter("diou", meaning="loss of a segment")
    regression_weight: float = hyperparameter(1.0, meaning="weight of the segments' loss")  # code
    # TriDet: 0.2.
    iou_power: float = hyperparameter(
        0.0, meaning="exponent of a segment's tIoU as the weight of its classes' loss"
    )
    # Code (ActivityNet: 200).
    normaliser: float = hyperparameter(100.0, meaning="points with an action in a step, at first")
    # Code.
    normaliser_momentum: float = hyperparameter(
        0.9, meaning="part of that number which a step leaves as it was"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("centre_radius", "first_reach", "normaliser"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        for name in ("focal_gamma", "regression_weight", "iou_power"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        if not 0 <= self.focal_alpha <= 1:
            raise ValueError(f"focal_alpha={self.focal_alpha} must lie in [0, 1]")
        if not 0 <= self.normaliser_momentum < 1:
            raise ValueError(f"normaliser_momentum={self.normaliser_momentum} must lie in [0, 1)")
