"""From a detector's output and the truth to a loss."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from models.detection import DetectorOutput, SetPrediction, Target
from models.loss_config import LossConfig
from models.loss_normaliser import LossNormaliser, TargetCount
from models.losses import l1_loss, sigmoid_focal_loss, tiou_loss
from models.matching import PaddedTargets, match, pad_targets
from models.shared_targets import share_targets


class Criterion(Protocol):
    """What every detector's loss is to training.

    Called with a `DetectorOutput`, the `Target`s of its samples and as many divisors as `normaliser` gives (without
    them the batch's own), it gives the losses of a batch by name; "total", weighted, is the only one with a gradient.
    """

    @property
    def normaliser(self) -> LossNormaliser:
        """What its sums are divided by."""
        ...

    @property
    def __call__(self) -> Callable[..., dict[str, Tensor]]: ...


class SetCriterion:
    """The set prediction loss of every supervised layer, each matched with the targets on its own."""

    def __init__(self, config: LossConfig) -> None:
        self.config = config
        self.normaliser: LossNormaliser = TargetCount()

    def __call__(
        self,
        output: DetectorOutput,
        targets: Sequence[Target],
        num_targets: Tensor | float | None = None,
    ) -> dict[str, Tensor]:
        """The loss of a batch.

        Args:
            output: predictions for `B` samples.
            targets: `B` targets, on any device; a sample may have none.
            num_targets: what the sums are divided by, at least 1: the number of targets in the batch unless
                given (under data parallelism, its mean over the workers).
        Returns:
            "total", weighted and the only one with a gradient; "class", "l1" and "tiou" of the final layer,
            unweighted, and the same with "_layer<i>" (earlier layers, from 0) or "_encoder" appended.
        """
        config, device = self.config, output.final.segments.device
        layers = output.layers if config.deep_supervision else output.layers[-1:]
        stacks = [_stack(layers)]
        suffixes = [[f"_layer{index}" for index in range(len(layers) - 1)] + [""]]
        weights, repeats = [1.0], [1]
        if output.encoder is not None:
            stacks.append(_stack([output.encoder]))
            suffixes.append(["_encoder"])
            weights.append(config.encoder_weight)
            repeats.append(config.encoder_matches)

        if num_targets is None:
            num_targets = sum(len(target.labels) for target in targets)
        classes = None
        if config.shared_tiou < 1:
            targets, classes = share_targets(targets, config.shared_tiou, output.final.logits.shape[-1])
        truth = pad_targets(targets, device, classes)
        normaliser = target_count(truth, num_targets)
        assignments = match(
            stacks,
            truth,
            weights=config.match,
            l1_form=config.l1_form,
            focal_alpha=config.focal_alpha,
            focal_gamma=config.focal_gamma,
            repeats=repeats,
        )
        losses: dict[str, Tensor] = {}
        total = torch.zeros((), device=device)
        for stack, names, weight, repeat, assignment in zip(
            stacks, suffixes, weights, repeats, assignments, strict=True
        ):
            sums = self._terms(stack, truth, assignment)
            terms = {name: term / (repeat * normaliser) for name, term in sums.items()}
            total = total + weight * (
                config.loss.classification * terms["class"].sum()
                + config.loss.l1 * terms["l1"].sum()
                + config.loss.tiou * terms["tiou"].sum()
            )
            for name, term in terms.items():
                losses |= {
                    f"{name}{suffix}": value for suffix, value in zip(names, term.detach(), strict=True)
                }
        return {"total": total} | losses

    def _terms(self, stack: SetPrediction, truth: PaddedTargets, assignment: Tensor) -> dict[str, Tensor]:
        """Sums over batch and queries for each prediction of the stack: three times `[S]`."""
        config = self.config
        matched = assignment >= 0
        sample = torch.arange(assignment.shape[1], device=assignment.device)[:, None]
        target = assignment.clamp(min=0)
        segments, labels = truth.segments[sample, target], truth.labels[sample, target]

        logits = stack.logits.float()
        classes = torch.arange(logits.shape[-1], device=logits.device)
        if truth.classes is None:
            positive = (labels[..., None] == classes) & matched[..., None]
        else:
            positive = truth.classes[sample, target] * matched[..., None]
        focal = sigmoid_focal_loss(logits, positive.float(), config.focal_alpha, config.focal_gamma)
        predicted = stack.segments.float()
        return {
            "class": (focal * stack.valid[..., None]).sum(dim=(1, 2, 3)),
            "l1": (l1_loss(predicted, segments, config.l1_form) * matched).sum(dim=(1, 2)),
            "tiou": (tiou_loss(predicted, segments) * matched).sum(dim=(1, 2)),
        }


def target_count(truth: PaddedTargets, num_targets: Tensor | float | None) -> Tensor:
    """What sums over a batch are divided by, at least 1: `num_targets`, or else the batch's own."""
    return torch.as_tensor(sum(truth.counts) if num_targets is None else num_targets).clamp(min=1)


def _stack(predictions: Sequence[SetPrediction]) -> SetPrediction:
    """Predictions of one shape as one, with a dimension in front."""
    return SetPrediction(
        segments=torch.stack([prediction.segments for prediction in predictions]),
        logits=torch.stack([prediction.logits for prediction in predictions]),
        valid=torch.stack([prediction.valid for prediction in predictions]),
    )
