"""The moving average of a detector's weights, which predicts more steadily than the weights of the last step."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class MovingAverage(Generic[Model]):
    """An exponential moving average of a model's parameters (Polyak averaging with a bias to the end).

    Attributes:
        model: like the one that is averaged, with the averaged weights; in eval mode.
    """

    def __init__(self, model: Model, decay: float, ramp: bool = True) -> None:
        """Begin with the weights that `model` has now; `ramp` lets the decay begin low."""
        self.model: Model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay
        self._ramp = ramp

    @torch.no_grad()
    def update(self, model: Model, steps: int) -> None:
        """Take in the weights after `steps` steps of the run.

        With a ramp, the decay rises to its value as (1 + steps) / (10 + steps), the rule of TensorFlow's `num_updates`,
        so that a short run is no average of its first weights.
        """
        decay = min(self._decay, (1 + steps) / (10 + steps)) if self._ramp else self._decay
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
