"""The baseline's network, from features to proposals."""

import torch
from torch import Tensor, nn

from models.deformable_detr.config import DeformableConfig
from models.detection import DetectorOutput, SetPrediction
from models.heads import DetectionHead
from models.levels import Level, Tokens
from models.projection import InputProjection
from models.pyramids.direct import DirectPyramid
from models.segments import to_start_end
from models.transformer import DecoderLayer, Encoder


class DeformableDETR(nn.Module):
    """Features -> (projection) -> pyramid -> deformable encoder -> decoder of learned queries.

    `pyramid`, a module from `(features [B, T, dim], padding_mask [B, T])` to `num_levels` levels, is direct
    downsampling unless another one is given.
    """

    def __init__(
        self, config: DeformableConfig, input_dim: int, num_classes: int, pyramid: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.input_dim = input_dim
        self.projection = nn.Identity() if input_dim == config.dim else InputProjection(input_dim, config.dim)
        self.pyramid = DirectPyramid(config.num_levels) if pyramid is None else pyramid
        self.encoder = Encoder(
            dim=config.dim,
            num_heads=config.num_heads,
            ffn_dim=config.ffn_dim,
            num_layers=config.encoder_layers,
            num_levels=config.num_levels,
            num_points=config.encoder_points,
            dropout=config.dropout,
        )
        self.decoder = QueryDecoder(config, num_classes)

    def forward(self, features: Tensor, padding_mask: Tensor) -> DetectorOutput:
        """Detect.

        Args:
            features: `[B, T, input_dim]`, any T from 1 on.
            padding_mask: `[B, T]`, True = padding, at the end. What `features` holds there is never read.
        Returns:
            One prediction of `num_queries` proposals for each decoder layer. A sample that is all padding has
            no valid proposal.
        """
        _, memory = self.encode(features, padding_mask)
        return DetectorOutput(layers=self.decoder(memory))

    def encode(self, features: Tensor, padding_mask: Tensor) -> tuple[list[Level], Tokens]:
        """The same arguments to the levels of the pyramid and their tokens, encoded."""
        if features.shape[-1] != self.input_dim:
            raise ValueError(
                f"input_dim={self.input_dim}, but the features have {features.shape[-1]} channels"
            )
        # Zeroed first: a NaN in padding would reach the gradient of the projection through 0 * NaN.
        features = self.projection(features.masked_fill(padding_mask[..., None], 0.0))
        levels = self.pyramid(features, padding_mask)
        return levels, self.encoder(levels)


class QueryDecoder(nn.Module):
    """Learned queries, decoded layer by layer, with a head of its own after each layer."""

    def __init__(self, config: DeformableConfig, num_classes: int) -> None:
        super().__init__()
        self.refine = config.refine
        self.position = nn.Parameter(torch.randn(config.num_queries, config.dim))
        self.content = nn.Parameter(torch.randn(config.num_queries, config.dim))
        self.reference_points = nn.Linear(config.dim, 1)
        nn.init.xavier_uniform_(self.reference_points.weight)
        nn.init.zeros_(self.reference_points.bias)
        self.layers = nn.ModuleList(
            DecoderLayer(
                config.dim,
                config.num_heads,
                config.ffn_dim,
                config.num_levels,
                config.decoder_points,
                config.dropout,
            )
            for _ in range(config.decoder_layers)
        )
        # References have a width from the second layer on, if they are refined at all.
        self.heads = nn.ModuleList(
            DetectionHead(
                config.dim,
                num_classes,
                config.class_prior,
                width_bias=0.0 if config.refine and layer > 0 else config.width_bias,
            )
            for layer in range(config.decoder_layers)
        )

    def forward(self, memory: Tokens) -> tuple[SetPrediction, ...]:
        """Encoded tokens to one prediction a layer.

        With `refine`, a layer's boxes, detached, are the next layer's references; without, every layer starts
        from the queries' own centres.
        """
        batch, num_queries = memory.features.shape[0], self.position.shape[0]
        content = self.content.expand(batch, -1, -1)
        position = self.position.expand(batch, -1, -1)
        with torch.autocast(position.device.type, enabled=False):  # a reference needs full precision
            reference = self.reference_points(self.position).sigmoid().expand(batch, -1, -1)
        valid = (~memory.padding_mask).any(dim=1, keepdim=True).expand(-1, num_queries)
        predictions = []
        for layer, head in zip(self.layers, self.heads, strict=True):
            content = layer(content, position, reference, memory)
            logits, boxes = head(content, reference)
            predictions.append(SetPrediction(to_start_end(boxes), logits, valid))
            if self.refine:
                reference = boxes.detach()
        return tuple(predictions)
