"""The pyramid of scalable-granularity perception, TriDet's; "enhanced CNN-based" in TP2-DETR."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.levels import Level
from models.pyramids.blocks import BlockPyramid, gelu_feed_forward
from models.pyramids.choices import NORM_GROUPS, Downsampling
from models.pyramids.downsampling import max_pool


def sgp_pyramid(
    *, dim: int, num_levels: int, kernel: int, ffn_dim: int, stem: bool, downsampling: Downsampling
) -> BlockPyramid:
    """An SGP block from level to level (TP2-DETR, Eq. 4 to 8), and one before level 1 with `stem`."""
    return BlockPyramid(
        stem=[SGPBlock(dim, kernel, ffn_dim, None)] if stem else [],
        branches=[SGPBlock(dim, kernel, ffn_dim, downsampling) for _ in range(num_levels - 1)],
    )


class SGPBlock(nn.Module):
    """x + SGP(LN(x)), then a feed-forward block behind GroupNorm, with max-pooling `before` or `after`.

    SGP(x) = relu(gate(mean over time of x)) * fc(x) + modulation(x) * (narrow(x) + wide(x)) + x, in which
    every map has weights of its own for each channel and mixes none (TP2-DETR, Eq. 5 and 6, as released).

    Args:
        dim: channels, a multiple of `NORM_GROUPS`.
        kernel: tokens that the narrow convolutions span, odd; the wide one spans `wide_factor` times
            `kernel + 1`, made odd.
        ffn_dim: hidden channels of the feed-forward block.
        downsampling: where time is halved; None keeps the resolution.
        wide_factor: k of TriDet.
        init_std: deviation of the convolutions' first weights. At 0, where TriDet's released code has it for THUMOS14,
            they enter as products of zeros alone and stay so: SGP(x) is then x for good.
        branch: makes what the two residual branches pass through.
    """

    def __init__(
        self,
        dim: int,
        kernel: int,
        ffn_dim: int,
        downsampling: Downsampling | None,
        wide_factor: float = 1.5,
        init_std: float = 1.0,
        branch: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        super().__init__()
        self.downsampling = downsampling
        wide = round((kernel + 1) * wide_factor)
        self.norm = nn.LayerNorm(dim)
        self.fc = _depthwise(dim, 1, init_std)
        self.gate = _depthwise(dim, 1, init_std)
        self.modulation = _depthwise(dim, kernel, init_std)
        self.narrow = _depthwise(dim, kernel, init_std)
        self.wide = _depthwise(dim, wide + 1 - wide % 2, init_std)
        self.branch = branch()
        self.feed_forward_norm = MaskedGroupNorm(NORM_GROUPS, dim)
        self.feed_forward = gelu_feed_forward(dim, ffn_dim, dropout=0.0)
        self.feed_forward_branch = branch()

    def forward(self, level: Level) -> Level:
        if self.downsampling == "before":
            level = max_pool(level)
        normed = Level(self.norm(level.features), level.padding_mask).zeroed()
        x = level.features + self.branch(self._perceive(normed))
        change = self.feed_forward(self.feed_forward_norm(x, level.padding_mask))
        x = x + self.feed_forward_branch(change)
        level = Level(x, level.padding_mask).zeroed()
        return max_pool(level) if self.downsampling == "after" else level

    def _perceive(self, level: Level) -> Tensor:
        count = (~level.padding_mask).sum(dim=1).clamp(min=1)
        x = level.features.mT
        mean = x.sum(dim=-1, keepdim=True) / count[:, None, None]
        instant = F.relu(self.gate(mean)) * self.fc(x)
        window = self.modulation(x) * (self.narrow(x) + self.wide(x))
        return (instant + window + x).mT


class MaskedGroupNorm(nn.Module):
    """GroupNorm over `[B, T, dim]` whose statistics, over time and a group's channels, leave padding out."""

    def __init__(self, num_groups: int, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.num_groups = num_groups
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, padding_mask: Tensor) -> Tensor:
        groups = x.to(torch.promote_types(x.dtype, torch.float32)).unflatten(-1, (self.num_groups, -1))
        valid = ~padding_mask[:, :, None, None]
        count = (valid.sum(dim=1, keepdim=True) * groups.shape[-1]).clamp(min=1)
        mean = (groups * valid).sum(dim=(1, 3), keepdim=True) / count
        centred = (groups - mean) * valid
        variance = centred.square().sum(dim=(1, 3), keepdim=True) / count
        return (centred * (variance + self.eps).rsqrt()).flatten(-2) * self.weight + self.bias


def _depthwise(dim: int, kernel: int, init_std: float) -> nn.Conv1d:
    """A convolution of each channel on its own over `[B, dim, T]`, initialised as in the released code."""
    convolution = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
    nn.init.normal_(convolution.weight, std=init_std)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution
