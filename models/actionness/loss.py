"""Set prediction, and the actionness of the last layer's segments."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.actionness.config import ActionnessLossConfig
from models.criterion import SetCriterion
from models.detection import DetectorOutput, SetPrediction, Target
from models.loss_normaliser import TargetCount
from models.segments import pairwise_tiou


class TargetAndSampleCount(TargetCount):
    """The number of targets of a batch, and that of its samples, which the actionness is a mean over."""

    def count(self, padding_mask: Tensor, targets: Sequence[Target]) -> tuple[float, ...]:
        return (*super().count(padding_mask, targets), float(len(targets)))

    def divisors(self, counts: Tensor) -> tuple[Tensor, ...]:
        return (*super().divisors(counts), counts[1].clamp(min=1))


class ActionnessCriterion:
    """The set prediction loss, and how far the actionness is from the tIoU of a segment with an action."""

    def __init__(self, config: ActionnessLossConfig) -> None:
        self.config = config
        self._set_prediction = SetCriterion(config)
        self.normaliser = TargetAndSampleCount()

    def __call__(
        self,
        output: DetectorOutput,
        targets: Sequence[Target],
        num_targets: Tensor | float | None = None,
        num_samples: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """What `SetCriterion` gives, "total" with actionness in it; "actionness", unweighted.

        Args:
            num_samples: what the sum of the samples' means over their queries is divided by; `B` unless given.
        """
        losses = self._set_prediction(output, targets, num_targets)
        if output.final.actionness is None:
            return losses
        samples = len(targets) if num_samples is None else num_samples
        term = self._actionness(output.final, output.final.actionness, targets) / samples
        losses["total"] = losses["total"] + self.config.actionness_weight * term
        losses["actionness"] = term.detach()
        return losses

    def truths(self, targets: Sequence[Target]) -> Sequence[Tensor]:
        """The true segments, `[N, 2]` for each sample, that its segments are compared with."""
        return [target.segments for target in targets]

    def _actionness(self, final: SetPrediction, actionness: Tensor, targets: Sequence[Target]) -> Tensor:
        """The sum over the samples of the mean of |actionness - best tIoU| over their valid queries."""
        segments, valid = final.segments.detach().float().clamp(0, 1), final.valid
        truths = [truth.to(segments.device, torch.float32) for truth in self.truths(targets)]
        best = torch.stack(
            [
                pairwise_tiou(found, truth).amax(dim=1) if len(truth) else torch.zeros_like(found[:, 0])
                for found, truth in zip(segments, truths, strict=True)
            ]
        )
        distance = (actionness.float().sigmoid() - best).abs() * valid
        return (distance.sum(dim=1) / valid.sum(dim=1).clamp(min=1)).sum()
