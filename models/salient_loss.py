"""The loss of salient heads: which tokens show an action (TP2-DETR 3.2 and Eq. 18)."""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from models.detection import Saliency
from models.losses import sigmoid_focal_loss
from models.matching import PaddedTargets

Form = Literal["focal", "bce"]
Reduction = Literal["mean", "sum"]

# In tokens. A boundary on the edge between two tokens must not fall on either side as rounding has it.
_EDGE = 1e-3


@dataclass(frozen=True, kw_only=True)
class SalientConfig:
    """What the salient heads count; the defaults are TP2-DETR's. Idle where a detector has no such head."""

    weight: float = 3.0  # Table 2 (ActivityNet: 2)
    pyramid: float = 0.5  # released code (Eq. 18: both places alike)
    encoder: float = 1.5  # released code
    form: Form = "focal"  # released code, with the criterion's focal_alpha and focal_gamma (Eq. 18: "bce")
    over_time: Reduction = "mean"  # released code (Eq. 18: "sum", which would dwarf all other terms)

    def __post_init__(self) -> None:
        for name in ("weight", "pyramid", "encoder"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        for name, choices in (("form", get_args(Form)), ("over_time", get_args(Reduction))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r} must be one of {', '.join(choices)}")

    def weight_of(self, place: str) -> float:
        """What a place of `DetectorOutput.saliency` counts in the whole loss."""
        return self.weight * {"pyramid": self.pyramid, "encoder": self.encoder}[place]


def salient_loss(
    saliency: Saliency, truth: PaddedTargets, config: SalientConfig, *, focal_alpha: float, focal_gamma: float
) -> Tensor:
    """The unweighted loss of one place, summed over the batch, in float32.

    A sample's loss is the mean (or the sum) over its own tokens, so that how much padding follows in a batch
    does not matter. The released code divides by the padded length, which is the same for whole windows.
    """
    padding = saliency.padding_mask
    logits = saliency.logits.float().masked_fill(padding, 0.0)
    target = foreground(truth, padding).float()
    match config.form:
        case "focal":
            loss = sigmoid_focal_loss(logits, target, focal_alpha, focal_gamma)
        case "bce":
            loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    over_time = loss.masked_fill(padding, 0.0).sum(dim=1)
    if config.over_time == "mean":
        over_time = over_time / (~padding).sum(dim=1).clamp(min=1)
    return over_time.sum()


def foreground(truth: PaddedTargets, padding_mask: Tensor) -> Tensor:
    """The tokens that show an action, `[B, T]` bool.

    Of n valid tokens, a segment (s, e) marks those from floor(s * n) to ceil(e * n), both included: up to one
    token more than it touches, as in the released code.
    """
    device = padding_mask.device
    token = torch.arange(padding_mask.shape[1], device=device)
    row = torch.arange(truth.labels.shape[1], device=device)
    real = row < torch.tensor(truth.counts, device=device)[:, None]
    start, end = (truth.segments * (~padding_mask).sum(dim=1)[:, None, None]).unbind(-1)
    first, last = (start + _EDGE).floor()[..., None], (end - _EDGE).ceil()[..., None]
    marked = (token >= first) & (token <= last) & real[..., None]
    return marked.any(dim=1) & ~padding_mask
