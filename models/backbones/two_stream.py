"""I3D over pictures, over flow, or over both: uint8 clips in, embeddings out."""

import torch
from torch import Tensor, nn

from models.backbones.i3d import FEATURE_DIM, I3D


class TwoStreamI3D(nn.Module):
    """The features of one I3D, or those of two side by side, `[rgb | flow]`.

    Pictures are scaled as published, to [-1, 1]; so is flow that was rounded to 8 bits.
    """

    def __init__(self, rgb: I3D | None, flow: I3D | None) -> None:
        super().__init__()
        self.streams = nn.ModuleDict(
            {name: net for name, net in (("rgb", rgb), ("flow", flow)) if net is not None}
        )
        self.dim = FEATURE_DIM * len(self.streams)

    def forward(self, *clips: Tensor) -> Tensor:
        """`[N, dim]` float32 of one tensor `[N, T, S, S, C]` for each stream: uint8, or floats in [-1, 1]."""
        features = [
            network(_scaled(stream).movedim(-1, 1))
            for network, stream in zip(self.streams.values(), clips, strict=True)
        ]
        return torch.cat(features, dim=1).float()


def _scaled(values: Tensor) -> Tensor:
    return values.float() if values.is_floating_point() else values.float() * (2 / 255) - 1
