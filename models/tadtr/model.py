"""TadTR: Deformable DETR, whose last segments are read once more to tell how well they fit."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from models.deformable_detr.model import DeformableDETR
from models.detection import DetectorOutput
from models.levels import Tokens
from models.roi_features import roi_features
from models.segments import to_centre_width, to_start_end
from models.tadtr.config import TadTRConfig
from models.transformer import MLP


class TadTR(nn.Module):
    """Features -> projection -> deformable encoder -> decoder of learned queries -> actionness of their segments."""

    def __init__(self, config: TadTRConfig, input_dim: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.deformable_detr = DeformableDETR(config, input_dim, num_classes)
        self.actionness = ActionnessHead(config) if config.actionness else None

    def forward(self, features: Tensor, padding_mask: Tensor) -> DetectorOutput:
        """Detect.

        Args:
            features: `[B, T, input_dim]`, any T from 1 on.
            padding_mask: `[B, T]`, True = padding, at the end. What `features` holds there is never read.
        Returns:
            One prediction of `num_queries` proposals for each decoder layer, the last with its actionness.
        """
        _, memory = self.deformable_detr.encode(features, padding_mask)
        *earlier, final = self.deformable_detr.decoder(memory)
        if self.actionness is not None:
            final = replace(final, actionness=self.actionness(memory, final.segments))
        return DetectorOutput(layers=(*earlier, final))


class ActionnessHead(nn.Module):
    """RoI-aligned features of a segment and what lies around it, to one logit: its tIoU with an action."""

    def __init__(self, config: TadTRConfig) -> None:
        super().__init__()
        self.bins = config.roi_bins
        self.scale = config.roi_scale
        self.mlp = MLP(config.roi_bins * config.dim, config.actionness_dim, 1, num_layers=3)

    def forward(self, memory: Tokens, segments: Tensor) -> Tensor:
        """`segments [B, Q, 2]`, through which no gradient passes, to logits `[B, Q]`."""
        centre, width = to_centre_width(segments.detach().float()).unbind(-1)
        wide = to_start_end(torch.stack((centre, self.scale * width), dim=-1)).clamp(0, 1)
        read = roi_features(memory, wide, self.bins).flatten(2)
        # Outside autocast: it is a factor of every score, and bfloat16 has few hundred values for it.
        with torch.autocast(read.device.type, enabled=False):
            return self.mlp(read.to(self.mlp.output.weight.dtype)).squeeze(-1)
