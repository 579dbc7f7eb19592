"""An image tower as a feature network: uint8 pictures in, embeddings out."""

import torch
from torch import Tensor, nn


class ImageEncoder(nn.Module):
    """Normalises pictures on the device that computes, then embeds them.

    CLIP's image tower is the usual `network`, but any module from `[N, 3, S, S]` floats to `[N, D]` will do.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """`mean` and `std` are per channel, of values in [0, 1]."""
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Embeddings `[N, D]` float32, not normalised, of `pictures` `[N, S, S, 3]` uint8."""
        channels_first = pictures.permute(0, 3, 1, 2).to(self.mean.dtype)
        embeddings: Tensor = self.network((channels_first - self.mean) / self.std)
        return embeddings.float()
