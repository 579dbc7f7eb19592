"""DualDETR: the encoder, what queries start from, and the decoder."""

from dataclasses import replace

from torch import Tensor, nn

from models.actionness.head import ActionnessHead
from models.detection import DetectorOutput
from models.dualdetr.config import DualDETRConfig
from models.dualdetr.decoder import Decoder
from models.dualdetr.initialisation import AlignedStart, LearntStart
from models.projection import InputProjection
from models.pyramids.direct import DirectPyramid
from models.transformer import Encoder


class DualDETR(nn.Module):
    """Features -> projection -> levels -> deformable encoder -> proposals -> aligned queries -> two-branch decoder."""

    def __init__(self, config: DualDETRConfig, input_dim: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.input_dim = input_dim
        self.projection = InputProjection(input_dim, config.dim)
        self.pyramid = DirectPyramid(config.num_levels)
        self.encoder = Encoder(
            dim=config.dim,
            num_heads=config.num_heads,
            ffn_dim=config.ffn_ratio * config.dim,
            num_layers=config.encoder_layers,
            num_levels=config.num_levels,
            num_points=config.num_points,
            dropout=config.dropout,
        )
        self.start: nn.Module = (
            LearntStart(config) if config.initialisation == "learnt" else AlignedStart(config, num_classes)
        )
        self.decoder = Decoder(config, num_classes)
        self.actionness = ActionnessHead(config, config.dim) if config.actionness else None

    def forward(self, features: Tensor, padding_mask: Tensor) -> DetectorOutput:
        """Detect.

        Args:
            features: `[B, T, input_dim]`, any T from 1 on.
            padding_mask: `[B, T]`, True = padding, at the end. What `features` holds there is never read.
        Returns:
            One prediction of `num_queries` proposals for each decoder layer, of which a sample with fewer
            tokens has fewer valid; and the dense prediction `[B, S]` of the encoder at the tokens of all
            levels, unless queries are learnt and need none.
        """
        if features.shape[-1] != self.input_dim:
            raise ValueError(
                f"input_dim={self.input_dim}, but the features have {features.shape[-1]} channels"
            )
        # Zeroed first: a NaN in padding would reach the gradient of the projection through 0 * NaN.
        features = self.projection(features.masked_fill(padding_mask[..., None], 0.0))
        memory = self.encoder(self.pyramid(features, padding_mask))
        queries, dense = self.start(memory)
        *earlier, final = self.decoder(queries, memory)
        if self.actionness is not None:
            final = replace(final, actionness=self.actionness(memory, final.segments))
        return DetectorOutput(layers=(*earlier, final), encoder=dense)
