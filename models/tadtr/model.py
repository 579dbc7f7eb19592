"""TadTR: Deformable DETR, whose last segments are read once more to tell how well they fit."""

from dataclasses import replace

from torch import Tensor, nn

from models.actionness.head import ActionnessHead
from models.deformable_detr.model import DeformableDETR
from models.detection import DetectorOutput
from models.tadtr.config import TadTRConfig


class TadTR(nn.Module):
    """Features -> projection -> deformable encoder -> decoder of learned queries -> actionness of their segments."""

    def __init__(self, config: TadTRConfig, input_dim: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.deformable_detr = DeformableDETR(config, input_dim, num_classes)
        self.actionness = ActionnessHead(config, config.dim) if config.actionness else None

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
