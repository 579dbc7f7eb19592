"""Windows of random features with random actions, for steps whose time does not depend on what they learn."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from measure import DEVICE
from torch import Tensor

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
