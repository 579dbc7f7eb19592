"""TadTR's loss."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.actionness.loss import ActionnessCriterion
from models.detection import Target
from models.tadtr.config import TadTRLossConfig


class TadTRCriterion(ActionnessCriterion):
    """Set prediction and actionness, which `actionness_truth=batch` asks for what the released code does."""

    config: TadTRLossConfig

    def truths(self, targets: Sequence[Target]) -> Sequence[Tensor]:
        """Those of each sample, or of the whole batch for each."""
        own = super().truths(targets)
        return own if self.config.actionness_truth == "sample" else [torch.cat(list(own))] * len(own)
