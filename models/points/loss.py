"""The loss of point detectors: focal loss of every point's classes, and of the segments where there is an action."""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.detection import DetectorOutput, Target
from models.losses import sigmoid_focal_loss
from models.matching import pad_targets
from models.points.assignment import assign, count_positives
from models.points.config import PointLossConfig
from models.points.offsets import offset_diou_loss, offset_iou, offset_iou_loss

# Below it the power of a tIoU has no slope: that of zero would be infinite.
_LEAST_IOU = 1e-6


class RunningPositives:
    """A moving average of the points of a step that have an action, which its own number goes into first."""

    def __init__(self, config: PointLossConfig) -> None:
        self._config = config
        self._positives = torch.tensor(config.normaliser)

    def count(self, padding_mask: Tensor, targets: Sequence[Target]) -> tuple[float, ...]:
        truth = pad_targets(targets, padding_mask.device)
        return (float(count_positives(truth, padding_mask, self._config)),)

    def divisors(self, counts: Tensor) -> tuple[Tensor, ...]:
        momentum = self._config.normaliser_momentum
        before = self._positives.to(counts.device)
        self._positives = momentum * before + (1 - momentum) * counts[0].clamp(min=1)
        return (self._positives.clamp(min=1),)

    def state(self) -> dict[str, Tensor]:
        return {"positives": self._positives}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._positives = state["positives"]


class PointCriterion:
    """The loss of ActionFormer and of TriDet."""

    def __init__(self, config: PointLossConfig) -> None:
        self.config = config
        self.normaliser = RunningPositives(config)

    def __call__(
        self, output: DetectorOutput, targets: Sequence[Target], num_positives: Tensor | float | None = None
    ) -> dict[str, Tensor]:
        """The loss of a batch.

        Args:
            output: of a point detector, for `B` samples.
            targets: `B` targets, on any device; a sample may have none.
            num_positives: what the sums are divided by; the batch's own points with an action unless given.
        Returns:
            "total", weighted and the only one with a gradient; "class" and "regression", unweighted.
        Raises:
            ValueError: the output is not of as many levels as the loss shares actions among.
        """
        points, config = output.points, self.config
        if points is None or len(points.lengths) != config.num_levels:
            levels = 0 if points is None else len(points.lengths)
            raise ValueError(
                f"num_levels={config.num_levels}, but the detector has {levels} levels of points"
            )
        padding = points.padding_mask
        truth = pad_targets(targets, padding.device)
        wanted = assign(truth, padding[:, : points.lengths[0]], points.logits.shape[-1], config)
        if num_positives is None:
            found = wanted.classes if config.regression_per_class else wanted.positive
            num_positives = found.sum().clamp(min=1)

        predicted, asked = points.distances.float(), wanted.distances
        if predicted.ndim == 4 and not config.regression_per_class:
            asked = asked[:, :, None, :]  # one segment, which every class of the point has
        loss = offset_diou_loss if config.regression == "diou" else offset_iou_loss
        positive = wanted.classes if predicted.ndim == 4 else wanted.positive.float()
        # Where there is no action, the targets' distances mean nothing, and their loss might be no number.
        asked = torch.where(positive[..., None] > 0, asked, 1.0)
        regression = (loss(predicted, asked) * positive).sum() / num_positives

        focal = sigmoid_focal_loss(
            points.logits.float(), wanted.classes, config.focal_alpha, config.focal_gamma
        )
        if config.iou_power > 0:
            fit = offset_iou(predicted, asked)
            fit = fit.clamp(min=_LEAST_IOU) ** config.iou_power
            fit = fit if fit.ndim == 3 else fit[..., None]
            focal = focal * torch.where(wanted.classes > 0, fit, 1.0)
        classification = (focal * ~padding[..., None]).sum() / num_positives
        return {
            "total": classification + config.regression_weight * regression,
            "class": classification.detach(),
            "regression": regression.detach(),
        }
