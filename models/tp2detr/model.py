"""TP2-DETR: the Deformable DETR baseline on a pyramid of its own, supervised early by salience heads."""

from torch import Tensor, nn

from models.deformable_detr.model import DeformableDETR
from models.detection import DetectorOutput, Salience
from models.levels import Level, Tokens, unflatten
from models.tp2detr.config import TP2DETRConfig
from models.tp2detr.pyramid import build_pyramid
from models.tp2detr.salience import SalienceHeads


class TP2DETR(nn.Module):
    """Features -> temporal feature pyramid -> deformable encoder -> decoder of learned queries.

    In training the pyramid and the encoder's memory also go through salience heads.
    """

    def __init__(self, config: TP2DETRConfig, input_dim: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.deformable_detr = DeformableDETR(config, input_dim, num_classes, build_pyramid(config))
        self.salience_heads = None if config.salience_on == "none" else SalienceHeads(config)

    def forward(self, features: Tensor, padding_mask: Tensor) -> DetectorOutput:
        """Detect.

        Args:
            features: `[B, T, input_dim]`, any T from 1 on.
            padding_mask: `[B, T]`, True = padding, at the end. What `features` holds there is never read.
        Returns:
            One prediction of `num_queries` proposals for each decoder layer; in training, what `salience`
            gives, too.
        """
        levels, memory = self.deformable_detr.encode(features, padding_mask)
        return DetectorOutput(
            layers=self.deformable_detr.decoder(memory),
            salience=self._salience(levels, memory) if self.training else {},
        )

    def salience(self, features: Tensor, padding_mask: Tensor) -> dict[str, Salience]:
        """Foreground logits at every token, of the "pyramid" and of the "encoder" as far as they have a head.

        Takes what `forward` takes. Inference needs none of it; a picture does.
        """
        return self._salience(*self.deformable_detr.encode(features, padding_mask))

    def _salience(self, levels: list[Level], memory: Tokens) -> dict[str, Salience]:
        if self.salience_heads is None:
            return {}
        places = {"encoder": unflatten(memory)}
        return self.salience_heads(
            places if self.config.salience_on == "encoder" else {"pyramid": levels} | places
        )
