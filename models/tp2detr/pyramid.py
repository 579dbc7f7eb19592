"""The temporal feature pyramid that a config asks for."""

from torch import nn

from models.pyramids.convolution import convolution_pyramid
from models.pyramids.direct import DirectPyramid
from models.pyramids.sgp import sgp_pyramid
from models.pyramids.transformer import transformer_pyramid
from models.tp2detr.config import TP2DETRConfig


def build_pyramid(config: TP2DETRConfig) -> nn.Module:
    """From `(features [B, T, dim], padding_mask [B, T])` to `num_levels` levels of ceil(T / 2^l) tokens."""
    match config.pyramid:
        case "direct":
            return DirectPyramid(config.num_levels)
        case "convolution":
            return convolution_pyramid(config.dim, config.num_levels, stem=config.stem == "released")
        case "sgp":
            return sgp_pyramid(
                dim=config.dim,
                num_levels=config.num_levels,
                kernel=config.sgp_kernel,
                ffn_dim=config.sgp_ffn_dim,
                stem=config.stem != "paper",
                downsampling=config.downsampling,
            )
        case "transformer":
            return transformer_pyramid(
                dim=config.dim,
                num_levels=config.num_levels,
                num_heads=config.num_heads,
                ffn_dim=config.ffn_dim,
                window=config.window,
                dropout=config.dropout,
                alpha=config.alpha,
                learnable_alpha=config.learnable_alpha,
                stem=config.stem != "paper",
                downsampling=config.downsampling,
            )
