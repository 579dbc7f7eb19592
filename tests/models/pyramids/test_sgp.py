"""SGP blocks against TP2-DETR's Eq. 4 to 8, written as loops over tokens."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from models.pyramids.sgp import MaskedGroupNorm, SGPBlock, sgp_pyramid
from tests.models.deformable_detr.test_model import restless


def arrays(layer: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    return layer.weight.detach().numpy(), layer.bias.detach().numpy()


def depthwise(x: np.ndarray, layer: nn.Conv1d) -> np.ndarray:
    weight, bias = arrays(layer)
    taps = weight.shape[-1]
    output = np.zeros_like(x)
    for token in range(len(x)):
        for tap in range(taps):
            neighbour = token + tap - taps // 2
            if 0 <= neighbour < len(x):
                output[token] += weight[:, 0, tap] * x[neighbour]
    return output + bias


def max_pool(x: np.ndarray) -> np.ndarray:
    return np.stack([x[max(0, token - 1) : token + 2].max(axis=0) for token in range(0, len(x), 2)])


def group_norm(x: np.ndarray, norm: MaskedGroupNorm) -> np.ndarray:
    weight, bias = arrays(norm)
    output = np.empty_like(x)
    for channels in np.split(np.arange(x.shape[1]), 16):
        part = x[:, channels]
        output[:, channels] = (part - part.mean()) / np.sqrt(part.var() + 1e-5)
    return output * weight + bias


def feed_forward(x: np.ndarray, layers: nn.Sequential) -> np.ndarray:
    (a, b), (c, d) = arrays(layers[0]), arrays(layers[3])
    hidden = x @ a.T + b
    hidden = hidden * np.vectorize(lambda value: 0.5 * (1 + math.erf(value / math.sqrt(2))))(hidden)
    return hidden @ c.T + d


def block_by_hand(x: np.ndarray, block: SGPBlock) -> np.ndarray:
    if block.downsampling == "before":
        x = max_pool(x)
    weight, bias = arrays(block.norm)
    o = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * weight + bias
    phi = np.maximum(depthwise(o.mean(axis=0, keepdims=True), block.gate), 0)
    window = depthwise(o, block.modulation) * (depthwise(o, block.narrow) + depthwise(o, block.wide))
    x = x + phi * depthwise(o, block.fc) + window + o
    x = x + feed_forward(group_norm(x, block.feed_forward_norm), block.feed_forward)
    return max_pool(x) if block.downsampling == "after" else x


@pytest.mark.parametrize("length", [1, 2, 9, 16])
@pytest.mark.parametrize(("downsampling", "kernel"), [("before", 1), ("before", 3), ("after", 5)])
@pytest.mark.parametrize("stem", [False, True])
def test_levels_follow_the_formula(length: int, downsampling: str, kernel: int, stem: bool) -> None:
    torch.manual_seed(0)
    pyramid = restless(
        sgp_pyramid(
            dim=32, num_levels=3, kernel=kernel, ffn_dim=20, stem=stem, downsampling=downsampling
        ).double()
    )
    features = torch.randn(1, length, 32, dtype=torch.float64)
    levels = pyramid(features, torch.zeros(1, length, dtype=torch.bool))
    expected = [features[0].numpy()]
    if stem:
        expected = [block_by_hand(expected[0], pyramid.stem[0])]
    for block in pyramid.branches:
        expected.append(block_by_hand(expected[-1], block))
    for level, truth in zip(levels, expected, strict=True):
        np.testing.assert_allclose(level.features[0].detach().numpy(), truth, atol=1e-8)


@pytest.mark.parametrize(("kernel", "wide"), [(1, 3), (3, 7), (5, 9), (9, 15)])
def test_the_wide_window_is_half_as_long_again_and_odd(kernel: int, wide: int) -> None:
    block = SGPBlock(16, kernel, 8, None)
    assert block.wide.kernel_size == (wide,)
    assert wide % 2 == 1
    assert abs(wide - 1.5 * (kernel + 1)) <= 1
    assert block.narrow.kernel_size == block.modulation.kernel_size == (kernel,)


def test_group_norm_without_padding_is_group_norm() -> None:
    ours, theirs = MaskedGroupNorm(4, 16), nn.GroupNorm(4, 16)
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight.copy_(torch.linspace(0.5, 2, 16))
            layer.bias.copy_(torch.linspace(-1, 1, 16))
    x = torch.randn(3, 11, 16)
    torch.testing.assert_close(ours(x, torch.zeros(3, 11).bool()), theirs(x.mT).mT, atol=1e-5, rtol=1e-5)
