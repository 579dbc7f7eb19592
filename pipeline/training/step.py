"""One optimisation step, the same however many workers share its windows."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.criterion import Criterion
from models.detection import Target, is_finite
from pipeline.detector.batches import pad_windows
from pipeline.detector.feature_cache import FeatureCache
from pipeline.training.targets import LabelledWindow
from pipeline.training.workers import Workers


class DivergedError(ArithmeticError):
    """A number of the run is not one any more. Raised by all workers at the same step, or by none."""


@dataclass(frozen=True)
class Share:
    """A worker's windows of a batch.

    Attributes:
        features: `[B, T, C]` float32.
        padding_mask: `[B, T]`, True = padding.
        targets: `B` targets.
        counts: False where the worker has no share and takes part with any window at all, since every worker
            must.
    """

    features: Tensor
    padding_mask: Tensor
    targets: Sequence[Target]
    counts: bool = True


def read_share(windows: Sequence[LabelledWindow], cache: FeatureCache, counts: bool = True) -> Share:
    """A worker's share of a batch from its windows; raises what `cache.read` raises."""
    features, padding_mask = pad_windows([cache.read(labelled.window) for labelled in windows])
    targets = [
        Target(torch.tensor(labelled.segments, dtype=torch.float32), torch.tensor(labelled.labels))
        for labelled in windows
    ]
    return Share(features, padding_mask, targets, counts)


class TrainStep:
    """Forward, loss, backward, clip, update.

    Losses are sums over the windows of all workers divided by the number of their targets. The gradients are
    those of one process with all the windows, whether or not the workers have equally many windows or
    targets.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: Criterion,
        optimiser: torch.optim.Optimizer,
        workers: Workers,
        clip_norm: float | None,
    ) -> None:
        """`model` averages its gradients over the workers (DDP) where there is more than one."""
        self._model = model
        self._criterion = criterion
        self._optimiser = optimiser
        self._workers = workers
        self._clip_norm = float("inf") if clip_norm is None else clip_norm
        self._parameters = [p for group in optimiser.param_groups for p in group["params"]]

    def __call__(self, share: Share) -> tuple[dict[str, Tensor], Tensor]:
        """Learn from this worker's share of a batch; every worker must take part.

        Returns:
            This worker's part of each loss, which add up to the loss over all workers, and the norm of the
            whole gradient before clipping.
        Raises:
            DivergedError: a prediction or the gradient is not finite; the weights are left as they were.
        """
        workers = self._workers
        output = self._model(share.features.to(workers.device), share.padding_mask.to(workers.device))
        num_targets = sum(len(target.labels) for target in share.targets) if share.counts else 0
        total, lost = workers.sum(torch.tensor([num_targets, not is_finite(output)])).tolist()
        if lost:
            raise DivergedError("a prediction is not a number")
        scale = float(share.counts) / max(total, 1)
        sums = self._criterion(output, share.targets, num_targets=1)
        losses = {name: scale * loss for name, loss in sums.items()}
        self._optimiser.zero_grad(set_to_none=True)
        # DDP takes the mean over workers, but the loss is their sum.
        loss = losses["total"] * workers.size
        if workers.size > 1:
            # DDP waits for a gradient of every parameter, also of heads that the loss leaves out.
            loss = loss + 0 * torch.stack([parameter.sum() for parameter in self._parameters]).sum()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        if not norm.isfinite():
            raise DivergedError("the gradient is not a number")
        self._optimiser.step()
        return {name: loss.detach() for name, loss in losses.items()}, norm
