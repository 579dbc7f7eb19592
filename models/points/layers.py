"""What point detectors are made of: masked convolutions, heads over levels, and branches that may be skipped."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from models.heads import prior_logit
from models.levels import Level
from models.pyramids.transformer import ResidualScale


class EmbeddingConvolution(nn.Module):
    """A convolution over three tokens without a bias, LayerNorm, ReLU; padding is zero before and after."""

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(input_dim, dim, kernel_size=3, padding=1, bias=False)
        self.norm = nn.LayerNorm(dim)

    def forward(self, level: Level) -> Level:
        """`level` is zero in padding, as all that these layers take and give."""
        features = self.norm(self.convolution(level.features.mT).mT)
        return Level(F.relu(features), level.padding_mask).zeroed()


class ConvolutionHead(nn.Module):
    """Hidden convolutions and one to `size` numbers a token, the same for all levels.

    Args:
        dim: channels of a token.
        size: numbers a token.
        layers: hidden convolutions.
        prior: the probability that each number, a logit, starts with; None starts from a bias of zero.
    """

    def __init__(self, dim: int, size: int, layers: int, prior: float | None = None) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(EmbeddingConvolution(dim, dim) for _ in range(layers))
        self.output = nn.Conv1d(dim, size, kernel_size=3, padding=1)
        assert self.output.bias is not None
        nn.init.constant_(self.output.bias, 0.0 if prior is None else prior_logit(prior))

    def forward(self, level: Level) -> Tensor:
        """`[B, T, size]` float32, zero in padding."""
        for layer in self.hidden:
            level = layer(level)
        # Outside autocast: bfloat16 has few logits that matter, and rounds boundaries.
        with torch.autocast(level.features.device.type, enabled=False):
            found = self.output(level.features.to(self.output.weight.dtype).mT).mT
        return found.masked_fill(level.padding_mask[..., None], 0.0)


class SkippedBranch(nn.Sequential):
    """What a residual branch adds: scaled by a learned factor a channel, and nothing for samples that skip it."""

    def __init__(self, dim: int, layer_scale: float, drop_path: float) -> None:
        super().__init__(ResidualScale(dim, layer_scale, learnable=True), StochasticDepth(drop_path, "row"))
