"""What a query's content says: a class and a segment."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.segments import inverse_sigmoid
from models.transformer import MLP


class Correction(MLP):
    """What a content adds to the logits of its query's `size` coordinates: nothing at first."""

    def __init__(self, dim: int, size: int) -> None:
        super().__init__(dim, dim, size, num_layers=3)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, content: Tensor) -> Tensor:
        # Outside autocast: bfloat16 would round boundaries to about a thousandth of the window.
        with torch.autocast(content.device.type, enabled=False):
            return super().forward(content.to(self.output.weight.dtype))


class ClassLogits(nn.Linear):
    """From content to class logits; every class starts at the probability `prior`."""

    def __init__(self, dim: int, num_classes: int, prior: float) -> None:
        super().__init__(dim, num_classes)
        nn.init.constant_(self.bias, prior_logit(prior))

    def forward(self, content: Tensor) -> Tensor:
        # Outside autocast: bfloat16 has a few hundred logits that matter, so that rankings would be full of ties.
        with torch.autocast(content.device.type, enabled=False):
            return super().forward(content.to(self.weight.dtype))


def prior_logit(prior: float) -> float:
    """The logit of a probability that classes start with."""
    return -math.log((1 - prior) / prior)


class DetectionHead(nn.Module):
    """Class logits, and a box as a correction of the query's reference.

    Args:
        dim: channels of the content.
        num_classes: logits a query.
        prior: the probability that every class starts with (focal loss: rare positives).
        width_bias: logit that the width starts with, where the reference has no width of its own.
    """

    def __init__(self, dim: int, num_classes: int, prior: float, width_bias: float = 0.0) -> None:
        super().__init__()
        self.classes = ClassLogits(dim, num_classes, prior)
        self.box = Correction(dim, 2)
        with torch.no_grad():
            self.box.output.bias[1] = width_bias

    def forward(self, content: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """`content [B, Q, dim]`, `reference [B, Q, 1]` (centre) or `[B, Q, 2]` (centre, width), in [0, 1].

        Returns:
            logits `[B, Q, K]`, and boxes (centre, width) `[B, Q, 2]` in [0, 1].
        """
        # A reference without a width leaves the width to the head alone.
        anchor = F.pad(inverse_sigmoid(reference), (0, 2 - reference.shape[-1]))
        return self.classes(content), (self.box(content) + anchor).sigmoid()
