"""TriDet: points on an SGP pyramid, with boundaries told by tokens around them (Shi et al., CVPR 2023)."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detection import DetectorOutput, PointPrediction
from models.levels import Level
from models.points.grid import as_output
from models.points.layers import ConvolutionHead, SkippedBranch
from models.points.trunk import PointTrunk
from models.pyramids.sgp import SGPBlock
from models.tridet.config import TriDetConfig
from models.tridet.trident import trident_distances


class TriDet(nn.Module):
    """Features -> convolutions -> SGP pyramid -> classes, and starts and ends that a centre puts together."""

    def __init__(self, config: TriDetConfig, input_dim: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        block = partial(
            SGPBlock,
            config.dim,
            config.sgp_kernel,
            config.ffn_dim,
            wide_factor=config.sgp_wide_factor,
            init_std=config.sgp_init_std,
        )
        branch = partial(SkippedBranch, config.dim, config.layer_scale, config.drop_path)
        self.trunk = PointTrunk(
            config,
            input_dim,
            # Blocks at full resolution add all that they find (code).
            stem=[block(None) for _ in range(config.stem_blocks)],
            branches=[block("before", branch=branch) for _ in range(config.num_levels - 1)],
        )
        head = partial(ConvolutionHead, config.dim, layers=config.head_layers)
        self.classes, self.starts, self.ends = (
            head(size=num_classes, prior=config.class_prior) for _ in range(3)
        )
        segments = num_classes if config.regression_per_class else 1
        self.centre = head(size=segments * 2 * (config.bins + 1))
        self.level_scales = nn.Parameter(torch.ones(config.num_levels))

    def forward(self, features: Tensor, padding_mask: Tensor) -> DetectorOutput:
        """Detect.

        Args:
            features: `[B, T, input_dim]`, any T from 1 on.
            padding_mask: `[B, T]`, True = padding, at the end. What `features` holds there is never read.
        Returns:
            One prediction of as many segments for each class as the levels have tokens.
        """
        if self.training and self.config.input_noise > 0:
            features = features + self.config.input_noise * torch.randn_like(features)
        levels = self.trunk(features, padding_mask)
        return as_output(
            PointPrediction(
                logits=torch.cat([self.classes(level) for level in levels], dim=1),
                distances=torch.cat(
                    [
                        self._distances(level, scale)
                        for level, scale in zip(levels, self.level_scales, strict=True)
                    ],
                    dim=1,
                ),
                padding_mask=torch.cat([level.padding_mask for level in levels], dim=1),
                lengths=tuple(level.features.shape[1] for level in levels),
            )
        )

    def _distances(self, level: Level, scale: Tensor) -> Tensor:
        """`[B, T, K, 2]` of a level."""
        # Starts and ends learn what they are from the pyramid, and do not shape it (code).
        apart = Level(level.features.detach(), level.padding_mask)
        around = F.relu(scale * self.centre(level)).unflatten(-1, (-1, 2, self.config.bins + 1))
        return trident_distances(self.starts(apart), self.ends(apart), around)
