"""The hyper-parameters of the actionness of segments; "released code" is TadTR's own."""

from dataclasses import dataclass, fields

from models.hyperparameters import hyperparameter
from models.loss_config import LossConfig


@dataclass(frozen=True, kw_only=True)
class ActionnessConfig:
    """Whether a detector has the head, and its sizes; those of the released code."""

    # Released code.
    actionness: bool = hyperparameter(
        True, meaning="weigh scores by how well a segment seems to fit an action"
    )
    # Released code.
    roi_bins: int = hyperparameter(16, meaning="parts of a segment that the actionness head reads")
    # Released code: context on both sides.
    roi_scale: float = hyperparameter(1.5, meaning="widths of a segment that the actionness head reads")
    # Released code.
    actionness_dim: int = hyperparameter(256, meaning="hidden channels of the actionness head")

    def check_actionness(self) -> None:
        """Raise ValueError where the head cannot be, or its sizes are set and there is none."""
        if self.roi_scale <= 0:
            raise ValueError(f"roi_scale={self.roi_scale} must be positive")
        if not self.actionness:
            defaults = {field.name: field.default for field in fields(self)}
            for name in ("roi_bins", "roi_scale", "actionness_dim"):
                if getattr(self, name) != defaults[name]:
                    raise ValueError(f"{name}={getattr(self, name)} needs actionness=true")


@dataclass(frozen=True, kw_only=True)
class ActionnessLossConfig(LossConfig):
    """The set prediction loss with that of the actionness, where the detector tells one."""

    actionness_weight: float = hyperparameter(
        4.0, meaning="weight of the actionness of the last layer"
    )  # released code

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.actionness_weight < 0:
            raise ValueError(f"actionness_weight={self.actionness_weight} must not be negative")
