"""From a detector's output and the truth to a loss."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.detection import DetectorOutput, SetPrediction, Target
from models.losses import SegmentForm, TermWeights, l1_loss, sigmoid_focal_loss, tiou_loss
from models.matching import PaddedTargets, match, pad_targets
from models.salient_loss import SalientConfig, salient_loss


@dataclass(frozen=True, kw_only=True)
class CriterionConfig:
    """What counts how much; the defaults are TP2-DETR's."""

    # TP2-DETR 4 (DualDETR 3.6: 6, 5, 2)
    match: TermWeights = field(default_factory=lambda: TermWeights(classification=2.0, l1=5.0, tiou=2.0))
    # TP2-DETR 4 and DualDETR 3.6
    loss: TermWeights = field(default_factory=lambda: TermWeights(classification=2.0, l1=5.0, tiou=2.0))
    l1_form: SegmentForm = "centre_width"  # unstated; TP2-DETR's released code (DualDETR 3.6: "start_end")
    focal_alpha: float = 0.25  # unstated; follows TP2-DETR's released code
    focal_gamma: float = 2.0  # unstated; follows TP2-DETR's released code
    deep_supervision: bool = True  # TP2-DETR 3.3: every decoder layer, each matched anew
    encoder_weight: float = 1.0  # unstated; the dense proposals of an encoder count like one decoder layer
    salient: SalientConfig = field(default_factory=SalientConfig)  # TP2-DETR's early supervision

    def __post_init__(self) -> None:
        if self.l1_form not in ("start_end", "centre_width"):
            raise ValueError(f"l1_form={self.l1_form!r} must be 'start_end' or 'centre_width'")
        if not 0 <= self.focal_alpha <= 1:
            raise ValueError(f"focal_alpha={self.focal_alpha} must lie in [0, 1]")
        for name in ("focal_gamma", "encoder_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")


class SetCriterion:
    """The set prediction loss of every supervised layer, each matched with the targets on its own."""

    def __init__(self, config: CriterionConfig) -> None:
        self.config = config

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
            unweighted, and the same with "_layer<i>" (earlier layers, from 0) or "_encoder" appended;
            "salient_<place>", unweighted, for each place that the output has saliency of.
        """
        config, device = self.config, output.final.segments.device
        layers = output.layers if config.deep_supervision else output.layers[-1:]
        stacks = [_stack(layers)]
        suffixes = [[f"_layer{index}" for index in range(len(layers) - 1)] + [""]]
        weights = [1.0]
        if output.encoder is not None:
            stacks.append(_stack([output.encoder]))
            suffixes.append(["_encoder"])
            weights.append(config.encoder_weight)

        truth = pad_targets(targets, device)
        normaliser = torch.as_tensor(sum(truth.counts) if num_targets is None else num_targets).clamp(min=1)
        assignments = match(
            stacks,
            truth,
            weights=config.match,
            l1_form=config.l1_form,
            focal_alpha=config.focal_alpha,
            focal_gamma=config.focal_gamma,
        )
        losses: dict[str, Tensor] = {}
        total = torch.zeros((), device=device)
        for stack, names, weight, assignment in zip(stacks, suffixes, weights, assignments, strict=True):
            terms = {name: term / normaliser for name, term in self._terms(stack, truth, assignment).items()}
            total = total + weight * (
                config.loss.classification * terms["class"].sum()
                + config.loss.l1 * terms["l1"].sum()
                + config.loss.tiou * terms["tiou"].sum()
            )
            for name, term in terms.items():
                losses |= {
                    f"{name}{suffix}": value for suffix, value in zip(names, term.detach(), strict=True)
                }
        for place, saliency in output.saliency.items():
            loss = salient_loss(
                saliency,
                truth,
                config.salient,
                focal_alpha=config.focal_alpha,
                focal_gamma=config.focal_gamma,
            )
            term = loss / normaliser
            total = total + config.salient.weight_of(place) * term
            losses[f"salient_{place}"] = term.detach()
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
        positive = (labels[..., None] == classes) & matched[..., None]
        focal = sigmoid_focal_loss(logits, positive.float(), config.focal_alpha, config.focal_gamma)
        predicted = stack.segments.float()
        return {
            "class": (focal * stack.valid[..., None]).sum(dim=(1, 2, 3)),
            "l1": (l1_loss(predicted, segments, config.l1_form) * matched).sum(dim=(1, 2)),
            "tiou": (tiou_loss(predicted, segments) * matched).sum(dim=(1, 2)),
        }


def _stack(predictions: Sequence[SetPrediction]) -> SetPrediction:
    """Predictions of one shape as one, with a dimension in front."""
    return SetPrediction(
        segments=torch.stack([prediction.segments for prediction in predictions]),
        logits=torch.stack([prediction.logits for prediction in predictions]),
        valid=torch.stack([prediction.valid for prediction in predictions]),
    )
