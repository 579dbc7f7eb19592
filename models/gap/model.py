"""GAP: class-agnostic proposals for zero-shot detection (Du et al., CVPR 2024)."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.detection import DetectorOutput, Salience, SetPrediction
from models.gap.config import GAPConfig
from models.gap.decoder import ConditionalDecoder
from models.gap.rectifying import Rectifying
from models.heads import DetectionHead
from models.levels import Level
from models.positions import sine_positions
from models.segments import to_start_end
from models.tp2detr.salience import FusedCNNs
from models.transformer import FeedForward, SelfAttention


class GAP(nn.Module):
    """Features -> projection -> encoder -> conditional decoder -> proposals -> the same, rectified."""

    def __init__(self, config: GAPConfig, input_dim: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.input_dim = input_dim
        # Its parameters learn at the rate of a pyramid.
        self.pyramid = nn.Conv1d(input_dim, input_dim, kernel_size=3, padding=1) if config.convolve else None
        self.projection = nn.Linear(input_dim, config.dim)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.decoder = ConditionalDecoder(config)
        self.head = DetectionHead(config.dim, num_classes, config.class_prior)
        self.rectifying = Rectifying(config, input_dim) if config.rectify else None
        # GAP's own head: one CNN, nothing to fuse.
        self.salience_head = (
            FusedCNNs(config.dim, 1, "nearest", "max") if config.salience_on == "encoder" else None
        )

    def forward(self, features: Tensor, padding_mask: Tensor) -> DetectorOutput:
        """Detect.

        Args:
            features: `[B, T, input_dim]`, any T from 1 on.
            padding_mask: `[B, T]`, True = padding, at the end. What `features` holds there is never read.
        Returns:
            One prediction of `num_queries` proposals; in training, what `salience` gives, too. A sample that is all
            padding has no valid proposal.
        """
        features, memory, position = self._encode(features, padding_mask)
        content, place = self.decoder(memory, position, padding_mask)
        logits, boxes = self.head(content, place)
        if self.rectifying is not None:
            segments = to_start_end(boxes).detach().clamp(0, 1)
            content = content + self.rectifying(content, segments, features, padding_mask)
            logits, boxes = self.head(content, place)
        valid = (~padding_mask).any(dim=1, keepdim=True).expand(-1, boxes.shape[1])
        return DetectorOutput(
            layers=(SetPrediction(to_start_end(boxes), logits, valid),),
            salience=self._salience(memory, padding_mask) if self.training else {},
        )

    def salience(self, features: Tensor, padding_mask: Tensor) -> dict[str, Salience]:
        """Foreground logits of every token at the encoder's end, where there is a head; takes what `forward` takes."""
        _, memory, _ = self._encode(features, padding_mask)
        return self._salience(memory, padding_mask)

    def _encode(self, features: Tensor, padding_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The features, zero in padding, their tokens encoded, and the tokens' positions."""
        if features.shape[-1] != self.input_dim:
            raise ValueError(
                f"input_dim={self.input_dim}, but the features have {features.shape[-1]} channels"
            )
        # Zeroed first: a NaN in padding would reach the gradient of the projection through 0 * NaN.
        features = features.masked_fill(padding_mask[..., None], 0.0)
        x = features
        if self.pyramid is not None:
            x = F.leaky_relu(self.pyramid(x.mT).mT, 0.2)
        memory = self.projection(x)
        position = sine_positions(padding_mask, self.config.dim).to(memory.dtype)
        for layer in self.encoder:
            memory = layer(memory, position, padding_mask)
        return features, memory, position

    def _salience(self, memory: Tensor, padding_mask: Tensor) -> dict[str, Salience]:
        if self.salience_head is None:
            return {}
        return {"encoder": Salience(self.salience_head([Level(memory, padding_mask)]), padding_mask)}


class EncoderLayer(nn.Module):
    """Every token looks at all others, then a feed-forward block; post-norm."""

    def __init__(self, config: GAPConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config.dim, config.num_heads, config.dropout)
        self.feed_forward = FeedForward(config.dim, config.ffn_dim, config.dropout)

    def forward(self, tokens: Tensor, position: Tensor, padding_mask: Tensor) -> Tensor:
        return self.feed_forward(self.self_attention(tokens, position, padding_mask))
