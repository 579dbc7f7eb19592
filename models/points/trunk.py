"""From features to the levels of a point detector's pyramid."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from models.levels import Level
from models.points.config import PointConfig
from models.points.layers import EmbeddingConvolution
from models.pyramids.blocks import BlockPyramid


class PointTrunk(nn.Module):
    """Convolutions, blocks at full resolution, a block a further level, and LayerNorm of each level.

    `stem` and `branches` are blocks that take and give a `Level` which is zero in padding.
    """

    def __init__(
        self, config: PointConfig, input_dim: int, stem: Sequence[nn.Module], branches: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.input_dropout = config.input_dropout
        widths = [input_dim] + [config.dim] * config.embedding_layers
        self.pyramid = BlockPyramid(
            stem=[*(EmbeddingConvolution(width, config.dim) for width in widths[:-1]), *stem],
            branches=branches,
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.dim) for _ in range(config.num_levels))

    def forward(self, features: Tensor, padding_mask: Tensor) -> list[Level]:
        """`features [B, T, input_dim]`, any T from 1 on, and `padding_mask [B, T]` to `num_levels` levels.

        The finest comes first, and all are zero in padding; what `features` holds there is never read.
        """
        if features.shape[-1] != self.input_dim:
            raise ValueError(
                f"input_dim={self.input_dim}, but the features have {features.shape[-1]} channels"
            )
        # Zeroed first: a NaN in padding would reach the gradient of a convolution through 0 * NaN.
        features = features.masked_fill(padding_mask[..., None], 0.0)
        features = F.dropout1d(features.mT, self.input_dropout, self.training).mT
        return [
            Level(norm(level.features), level.padding_mask).zeroed()
            for norm, level in zip(self.norms, self.pyramid(features, padding_mask), strict=True)
        ]
