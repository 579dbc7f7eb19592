"""TP2-DETR's loss: set prediction, and early supervision of which tokens show an action (3.2 and Eq. 18)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.criterion import SetCriterion, target_count
from models.detection import DetectorOutput, Salience, Target
from models.losses import sigmoid_focal_loss
from models.matching import PaddedTargets, pad_targets
from models.tp2detr.config import SalienceConfig, TP2DETRLossConfig

# In tokens. A boundary on the edge between two tokens must not fall on either side as rounding has it.
_EDGE = 1e-3


class TP2DETRCriterion:
    """The set prediction loss, and the loss of each place that the output has salience of."""

    def __init__(self, config: TP2DETRLossConfig) -> None:
        self.config = config
        self._set_prediction = SetCriterion(config)
        self.normaliser = self._set_prediction.normaliser

    def __call__(
        self,
        output: DetectorOutput,
        targets: Sequence[Target],
        num_targets: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """What `SetCriterion` gives, "total" with salience in it; "salience_<place>", unweighted, for each place."""
        config = self.config
        losses = self._set_prediction(output, targets, num_targets)
        truth = pad_targets(targets, output.final.segments.device)
        normaliser = target_count(truth, num_targets)
        for place, salience in output.salience.items():
            loss = salience_loss(
                salience,
                truth,
                config.salience,
                focal_alpha=config.focal_alpha,
                focal_gamma=config.focal_gamma,
            )
            term = loss / normaliser
            losses["total"] = losses["total"] + config.salience.weight_of(place) * term
            losses[f"salience_{place}"] = term.detach()
        return losses


def salience_loss(
    salience: Salience,
    truth: PaddedTargets,
    config: SalienceConfig,
    *,
    focal_alpha: float,
    focal_gamma: float,
) -> Tensor:
    """The unweighted loss of one place, summed over the batch, in float32.

    A sample's loss is the mean (or the sum) over its own tokens, so that how much padding follows in a batch
    does not matter. The released code divides by the padded length, which is the same for whole windows.
    """
    padding = salience.padding_mask
    logits = salience.logits.float().masked_fill(padding, 0.0)
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
