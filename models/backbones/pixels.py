"""Any image or video network as a feature network: uint8 pixels in, embeddings out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PixelEncoder(nn.Module):
    """Normalises pixels on the device that computes, then embeds them.

    The network is any module from `[N, C, S, S]` or `[N, C, T, S, S]` floats to `[N, D]`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        """`mean` and `std` are per channel, of values in [0, 1]."""
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std) * 255, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embeddings `[N, D]` float32, not normalised, of `pixels` `[N, S, S, C]` or `[N, T, S, S, C]` uint8."""
        # Moving the axis copies nothing: the network gets its input in the channels_last(_3d) format.
        normalised = (pixels.to(self.mean.dtype) - self.mean) / self.std
        embeddings: Tensor = self.network(normalised.movedim(-1, 1))
        return embeddings.float()
