"""ActionFormer: a segment and class scores at every token of every level of a pyramid (Zhang et al., ECCV 2022)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.actionformer.block import ActionFormerBlock, MaxPooling
from models.actionformer.config import ActionFormerConfig
from models.detection import DetectorOutput, PointPrediction
from models.points.grid import as_output
from models.points.layers import ConvolutionHead
from models.points.trunk import PointTrunk


class ActionFormer(nn.Module):
    """Features -> convolutions -> pyramid -> two heads, which all levels share."""

    def __init__(self, config: ActionFormerConfig, input_dim: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        branches = range(config.num_levels - 1)
        self.trunk = PointTrunk(
            config,
            input_dim,
            stem=[_block(config, stride=1) for _ in range(config.stem_blocks)],
            branches=[
                MaxPooling() if config.pyramid == "max_pool" else _block(config, stride=2) for _ in branches
            ],
        )
        self.classes = ConvolutionHead(config.dim, num_classes, config.head_layers, config.class_prior)
        segments = num_classes if config.regression_per_class else 1
        self.distances = ConvolutionHead(config.dim, 2 * segments, config.head_layers)
        if config.regression_per_class:
            # Where all distances of a rare class begin below zero, ReLU would let none of its few points learn.
            assert self.distances.output.bias is not None
            nn.init.ones_(self.distances.output.bias)
        self.level_scales = nn.Parameter(torch.ones(config.num_levels))

    def forward(self, features: Tensor, padding_mask: Tensor) -> DetectorOutput:
        """Detect.

        Args:
            features: `[B, T, input_dim]`, any T from 1 on.
            padding_mask: `[B, T]`, True = padding, at the end. What `features` holds there is never read.
        Returns:
            One prediction of as many segments as the levels have tokens.
        """
        levels = self.trunk(features, padding_mask)
        distances = torch.cat(
            [
                F.relu(scale * self.distances(level))
                for scale, level in zip(self.level_scales, levels, strict=True)
            ],
            dim=1,
        )
        return as_output(
            PointPrediction(
                logits=torch.cat([self.classes(level) for level in levels], dim=1),
                distances=distances.unflatten(-1, (-1, 2)) if self.config.regression_per_class else distances,
                padding_mask=torch.cat([level.padding_mask for level in levels], dim=1),
                lengths=tuple(level.features.shape[1] for level in levels),
            )
        )


def _block(config: ActionFormerConfig, stride: int) -> ActionFormerBlock:
    return ActionFormerBlock(
        dim=config.dim,
        num_heads=config.num_heads,
        ffn_dim=config.ffn_dim,
        window=config.window,
        stride=stride,
        layer_scale=config.layer_scale,
        drop_path=config.drop_path,
    )
