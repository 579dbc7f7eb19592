"""What a query's content says: a class and a segment."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.segments import inverse_sigmoid
from models.transformer import MLP


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
        self.classes = nn.Linear(dim, num_classes)
        self.box = MLP(dim, dim, 2, num_layers=3)
        nn.init.constant_(self.classes.bias, -math.log((1 - prior) / prior))
        nn.init.zeros_(self.box.output.weight)
        with torch.no_grad():
            self.box.output.bias.copy_(torch.tensor([0.0, width_bias]))

    def forward(self, content: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        """`content [B, Q, dim]`, `reference [B, Q, 1]` (centre) or `[B, Q, 2]` (centre, width), in [0, 1].

        Returns:
            logits `[B, Q, K]`, and boxes (centre, width) `[B, Q, 2]` in [0, 1].
        """
        logits = self.classes(content)
        # Outside autocast: a bfloat16 logit moves a boundary by up to half a percent of the window.
        with torch.autocast(content.device.type, enabled=False):
            correction = self.box(content.to(self.classes.weight.dtype))
        # A reference without a width leaves the width to the head alone.
        anchor = F.pad(inverse_sigmoid(reference), (0, 2 - reference.shape[-1]))
        return logits, (correction + anchor).sigmoid()
