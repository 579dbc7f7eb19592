"""Windows of random features with random actions, for steps whose time does not depend on what they learn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from measure import DEVICE, synchronise
from torch import Tensor, nn

from models.detection import Target


@dataclass(frozen=True)
class RandomWindows:
    """A batch on the device.

    Attributes:
        features: `[B, T, C]`.
        padding: `[B, T]` bool, nothing of it.
        targets: the actions of each window.
    """

    features: Tensor
    padding: Tensor
    targets: Sequence[Target]


def random_windows(batch: int, length: int, channels: int, actions: int, classes: int) -> RandomWindows:
    """Such a batch, drawn from torch's generator as it stands."""
    features = torch.randn(batch, length, channels, device=DEVICE)
    padding = torch.zeros(batch, length, dtype=torch.bool, device=DEVICE)
    targets = [
        Target(torch.rand(actions, 2).sort(dim=1).values, torch.randint(classes, (actions,)))
        for _ in range(batch)
    ]
    return RandomWindows(features, padding, targets)


def training_step(model: nn.Module, criterion: nn.Module, windows: RandomWindows) -> Callable[[], None]:
    """Forward, loss and backward, without the optimiser's part; it returns when the device has done it."""

    def step() -> None:
        model.zero_grad(set_to_none=True)
        criterion(model(windows.features, windows.padding), windows.targets)["total"].backward()
        synchronise()

    return step
