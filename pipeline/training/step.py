"""One optimisation step, the same however many workers share its windows and in however many parts they learn them."""

from collections.abc import Sequence
from contextlib import nullcontext
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

    def parts(self, number: int) -> "list[Share]":
        """The share cut into `number` parts of consecutive windows, or as many as it has windows."""
        size = -(-len(self.targets) // number)
        return [
            Share(
                self.features[first : first + size],
                self.padding_mask[first : first + size],
                self.targets[first : first + size],
                self.counts,
            )
            for first in range(0, len(self.targets), size)
        ]


@dataclass(frozen=True)
class Wishes:
    """What some worker wants of all: a checkpoint, and to leave the run after it."""

    save: bool = False
    leave: bool = False

    def __or__(self, other: "Wishes") -> "Wishes":
        return Wishes(self.save or other.save, self.leave or other.leave)


NO_WISHES = Wishes()


def read_share(
    windows: Sequence[LabelledWindow], cache: FeatureCache, counts: bool = True, multiple: int = 1
) -> Share:
    """A worker's share of a batch from its windows, padded to a multiple of so many snippets.

    Raises what `cache.read` raises.
    """
    features, padding_mask = pad_windows([cache.read(labelled.window) for labelled in windows], multiple)
    targets = [
        Target(torch.tensor(labelled.segments, dtype=torch.float32), torch.tensor(labelled.labels))
        for labelled in windows
    ]
    return Share(features, padding_mask, targets, counts)


class TrainStep:
    """Forward, loss, backward, clip, update.

    Losses are sums over the windows of all workers divided by what the criterion counts in them. The gradients are
    those of one process with all the windows, whether or not the workers have equally many windows or
    targets, and in however many parts each of them learns its own.

    The device is waited for once a step, where the costs of the matching are read: what else a step has to tell is
    read there by the step after it, or by `settle`.

    Attributes:
        wishes: of all workers, in the steps that were settled since somebody last set it.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: Criterion,
        optimiser: torch.optim.Optimizer,
        workers: Workers,
        clip_norm: float | None,
        accumulate: int = 1,
    ) -> None:
        """`model` averages its gradients over the workers (DDP) where there is more than one."""
        self._model = model
        self._criterion = criterion
        self._optimiser = optimiser
        self._workers = workers
        self._clip_norm = float("inf") if clip_norm is None else clip_norm
        self._accumulate = accumulate
        self._parameters = [p for group in optimiser.param_groups for p in group["params"]]
        self._unsettled: Tensor | None = None
        self.wishes = NO_WISHES

    def __call__(self, share: Share, wishes: Wishes = NO_WISHES) -> tuple[dict[str, Tensor], Tensor]:
        """Learn from this worker's share of a batch; every worker must take part.

        Where a prediction or the gradient is not finite, the weights stay as they were.

        Returns:
            This worker's part of each loss, which add up to the loss over all workers, and the norm of the
            whole gradient before clipping.
        Raises:
            DivergedError: a prediction or the gradient of the step before was not finite.
        """
        normaliser = self._criterion.normaliser
        counts = [share.counts * count for count in normaliser.count(share.padding_mask, share.targets)]
        known = self._workers.add(torch.tensor([*counts, wishes.save, wishes.leave], dtype=torch.float32))
        divisor, *others = normaliser.divisors(known[:-2])
        scale = float(share.counts) / divisor
        divisors: list[Tensor | float] = [1, *(other / divisor for other in others)]
        self._optimiser.zero_grad(set_to_none=True)
        losses: dict[str, Tensor] = {}
        finite = torch.ones((), dtype=torch.bool, device=self._workers.device)
        parts = share.parts(self._accumulate)
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            with nullcontext() if last else self._gradients_stay_here():
                sums, is_number = self._sums(part, divisors)
                self.settle()
                self._backward(scale * sums["total"], is_number)
            finite = finite & is_number
            for name, value in sums.items():
                losses[name] = losses.get(name, 0) + scale * value.detach()
        norm = nn.utils.clip_grad_norm_(self._parameters, self._clip_norm)
        # The fused optimiser leaves everything as it is where this is 1, as gradient scaling has it do.
        self._optimiser.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        self._optimiser.step()
        self._unsettled = torch.stack([finite, norm.isfinite(), known[-2] > 0, known[-1] > 0])
        return losses, norm

    def settle(self) -> None:
        """Read what the step before has told, if nobody has yet. Raises DivergedError as a step does."""
        if self._unsettled is None:
            return
        finite, converges, save, leave = self._unsettled.tolist()
        self._unsettled = None
        self.wishes |= Wishes(save, leave)
        if not converges:
            raise DivergedError(f"{'the gradient' if finite else 'a prediction'} is not a number")

    def _sums(self, part: Share, divisors: Sequence[Tensor | float]) -> tuple[dict[str, Tensor], Tensor]:
        """The losses of the part, and whether all predictions are numbers, on the device."""
        device = self._workers.device
        output = self._model(part.features.to(device), part.padding_mask.to(device))
        try:
            return self._criterion(output, part.targets, *divisors), is_finite(output)
        except FloatingPointError:  # of the matching; the others must hear of it, and do by the gradient
            nothing = torch.zeros((), device=device)
            return {"total": nothing}, nothing > 0

    def _backward(self, loss: Tensor, is_number: Tensor) -> None:
        # DDP takes the mean over workers, but the loss is their sum.
        loss = loss * self._workers.size
        if self._workers.size > 1 or not loss.requires_grad:
            # DDP waits for a gradient of every parameter, also of heads that the loss leaves out.
            loss = loss + 0 * torch.stack([parameter.sum() for parameter in self._parameters]).sum()
        # What is lost here makes the gradient of all workers none, so that all of them stop.
        (loss * torch.where(is_number, 1.0, torch.nan)).backward()

    def _gradients_stay_here(self) -> "nullcontext[None]":
        """While a part is learnt that is not the last of its step, DDP sends nothing."""
        no_sync = getattr(self._model, "no_sync", nullcontext)
        return no_sync()
