"""One batch that a detector learns by heart: padded samples, overlapping actions, a sample without any."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.detection import DetectorOutput, Target

_LENGTHS = (32, 27, 20, 32)
_ACTIONS = (
    ((0.05, 0.25, 0), (0.40, 0.50, 1), (0.60, 0.95, 2)),
    ((0.10, 0.30, 1), (0.20, 0.60, 2), (0.80, 1.00, 0)),  # two at once
    ((0.30, 0.90, 2),),
    (),
)


@dataclass(frozen=True)
class Batch:
    """Features `[4, 32, 16]` in which each of three classes has a direction, padding `[4, 32]`, and the actions."""

    features: Tensor
    mask: Tensor
    targets: Sequence[Target]


@dataclass(frozen=True)
class Learnt:
    """The loss of the first step, and loss and output after the last, in evaluation."""

    first: float
    last: float
    output: DetectorOutput


def make_batch() -> Batch:
    """Drawn from torch's generator as it stands."""
    mask = torch.arange(32) >= torch.tensor(_LENGTHS)[:, None]
    features, signature = 0.3 * torch.randn(4, 32, 16), torch.randn(3, 16)
    targets = []
    for sample, (length, actions) in enumerate(zip(_LENGTHS, _ACTIONS, strict=True)):
        for start, end, label in actions:
            features[sample, round(start * length) : round(end * length)] += signature[label]
        rows = torch.tensor(actions).view(-1, 3)
        targets.append(Target(rows[:, :2], rows[:, 2].long()))
    return Batch(features, mask, targets)


def learn(
    model: nn.Module,
    criterion: nn.Module,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    rates: Sequence[float],
    steps: int,
) -> Learnt:
    """Train on the batch alone; `rates` are the highest of the optimizer's groups."""
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, list(rates), total_steps=steps)
    first = None
    for _ in range(steps):
        loss = criterion(model(batch.features, batch.mask), batch.targets)["total"]
        first = loss.item() if first is None else first
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    assert first is not None
    model.eval()
    with torch.no_grad():
        output = model(batch.features, batch.mask)
        return Learnt(first, criterion(output, batch.targets)["total"].item(), output)
