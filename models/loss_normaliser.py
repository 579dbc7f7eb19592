"""What the sums of a loss are divided by, counted over the samples of all workers before anything is learnt."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from models.detection import Target


class LossNormaliser(Protocol):
    """From what single shares of a batch count to what the losses of the whole batch are divided by."""

    def count(self, padding_mask: Tensor, targets: Sequence[Target]) -> tuple[float, ...]:
        """What some samples, `padding_mask [B, T]` and `B` targets, add to the counts of their batch."""
        ...

    def divisors(self, counts: Tensor) -> tuple[Tensor, ...]:
        """Once a step, the counts of its whole batch to as many numbers, each at least 1 and on the device of `counts`.

        The first divides all losses but those that say otherwise.
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """What a later step depends on, by name; a checkpoint keeps it."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        ...


class TargetCount:
    """The number of targets of a batch, as in all set prediction."""

    def count(self, padding_mask: Tensor, targets: Sequence[Target]) -> tuple[float, ...]:
        return (float(sum(len(target.labels) for target in targets)),)

    def divisors(self, counts: Tensor) -> tuple[Tensor, ...]:
        return (counts[0].clamp(min=1),)

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        pass
