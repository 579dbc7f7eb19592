"""The head that reads a segment once more and tells how well it fits."""

import torch
from torch import Tensor, nn

from models.actionness.config import ActionnessConfig
from models.levels import Tokens
from models.roi_features import roi_features
from models.segments import to_centre_width, to_start_end
from models.transformer import MLP


class ActionnessHead(nn.Module):
    """RoI-aligned features of a segment and what lies around it, to one logit: its tIoU with an action."""

    def __init__(self, config: ActionnessConfig, dim: int) -> None:
        """For tokens of `dim` channels."""
        super().__init__()
        self.bins = config.roi_bins
        self.scale = config.roi_scale
        self.mlp = MLP(config.roi_bins * dim, config.actionness_dim, 1, num_layers=3)

    def forward(self, memory: Tokens, segments: Tensor) -> Tensor:
        """`segments [B, Q, 2]`, through which no gradient passes, to logits `[B, Q]`."""
        centre, width = to_centre_width(segments.detach().float()).unbind(-1)
        wide = to_start_end(torch.stack((centre, self.scale * width), dim=-1)).clamp(0, 1)
        read = roi_features(memory, wide, self.bins).flatten(2)
        # Outside autocast: it is a factor of every score, and bfloat16 has few hundred values for it.
        with torch.autocast(read.device.type, enabled=False):
            return self.mlp(read.to(self.mlp.output.weight.dtype)).squeeze(-1)
