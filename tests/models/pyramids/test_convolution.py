"""The convolution pyramid against convolutions written as loops."""

import numpy as np
import pytest
import torch

from models.pyramids.convolution import Convolution, convolution_pyramid
from tests.models.deformable_detr.test_model import restless


def convolve(x: np.ndarray, layer: Convolution) -> np.ndarray:
    """`[T, C]`: output i sums the tokens around token i * stride, those outside being zero."""
    weight = layer.convolution.weight.detach().numpy()
    output = np.tile(layer.convolution.bias.detach().numpy(), (-(-len(x) // layer.stride), 1))
    for token, row in enumerate(output):
        for tap in range(3):
            neighbour = token * layer.stride + tap - 1
            if 0 <= neighbour < len(x):
                row += weight[:, :, tap] @ x[neighbour]
    return output


def layer_norm(x: np.ndarray, norm: torch.nn.LayerNorm) -> np.ndarray:
    normed = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return normed * norm.weight.detach().numpy() + norm.bias.detach().numpy()


@pytest.mark.parametrize("length", [1, 2, 9, 12])
@pytest.mark.parametrize("stem", [False, True])
def test_levels_follow_the_formula(length: int, stem: bool) -> None:
    torch.manual_seed(0)
    pyramid = restless(convolution_pyramid(6, 3, stem)).double()
    features = torch.randn(1, length, 6, dtype=torch.float64)
    levels = pyramid(features, torch.zeros(1, length, dtype=torch.bool))
    x = features[0].numpy()
    if stem:
        for embedding in pyramid.stem[:2]:
            x = convolve(x, embedding)
        for block in pyramid.stem[2:]:
            x = np.maximum(x + convolve(np.maximum(convolve(x, block.expand), 0), block.contract), 0)
    expected = [x]
    for branch in pyramid.branches:
        expected.append(layer_norm(convolve(expected[-1], branch.halve), branch.norm))
    for level, truth in zip(levels, expected, strict=True):
        np.testing.assert_allclose(level.features[0].detach().numpy(), truth, atol=1e-9)


def test_biases_start_at_zero() -> None:
    for layer in convolution_pyramid(8, 3, stem=True).modules():
        if isinstance(layer, torch.nn.Conv1d):
            assert layer.bias is not None
            assert not layer.bias.any()
