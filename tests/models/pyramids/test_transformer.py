"""The transformer pyramid against TP2-DETR's Eq. 9 to 11, attention written as a loop over tokens."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.pyramids.transformer import LocalSelfAttention, TransformerBlock, transformer_pyramid
from tests.models.deformable_detr.test_model import restless


def attend(x: Tensor, layer: LocalSelfAttention) -> Tensor:
    """`[T, C]`: every token with the neighbours that there are within half a window."""
    query, key, value = (
        projection(norm(x)).unflatten(-1, (layer.num_heads, -1))
        for projection, norm in (
            (layer.query, layer.query_norm),
            (layer.key, layer.key_norm),
            (layer.value, layer.value_norm),
        )
    )
    rows = []
    for token in range(len(x)):
        seen = slice(max(0, token - layer.window // 2), token + layer.window // 2 + 1)
        heads = []
        for head in range(layer.num_heads):
            scores = key[seen, head] @ query[token, head] / math.sqrt(query.shape[-1])
            heads.append(scores.softmax(0) @ value[seen, head])
        rows.append(torch.cat(heads))
    return layer.output(torch.stack(rows))


def max_pool(x: Tensor) -> Tensor:
    return torch.stack([x[max(0, token - 1) : token + 2].amax(dim=0) for token in range(0, len(x), 2)])


def block_by_hand(x: Tensor, block: TransformerBlock) -> Tensor:
    normed = block.attention_norm(x)
    if block.downsampling == "before":
        x, normed = max_pool(x), normed[::2]
    x = x + block.attention_scale.alpha * attend(normed, block.attention)
    expand, _, _, contract, _ = block.feed_forward
    x = x + block.feed_forward_scale.alpha * contract(F.gelu(expand(block.feed_forward_norm(x))))
    return x[::2] if block.downsampling == "after" else x


@pytest.mark.parametrize("length", [1, 2, 7, 21])
@pytest.mark.parametrize("downsampling", ["before", "after"])
@pytest.mark.parametrize(
    ("stem", "alpha", "learnable"), [(True, 1.0, False), (False, 0.3, False), (True, 0.3, True)]
)
def test_levels_follow_the_formula(
    length: int, downsampling: str, stem: bool, alpha: float, learnable: bool
) -> None:
    torch.manual_seed(0)
    pyramid = restless(
        transformer_pyramid(
            dim=8, num_levels=3, num_heads=2, ffn_dim=12, window=5, dropout=0.1,
            alpha=alpha, learnable_alpha=learnable, stem=stem, downsampling=downsampling,
        ).double()
    )  # fmt: skip
    features = torch.randn(1, length, 8, dtype=torch.float64)
    with torch.no_grad():
        levels = pyramid(features, torch.zeros(1, length, dtype=torch.bool))
        expected = [block_by_hand(features[0], pyramid.stem[0]) if stem else features[0]]
        for block in pyramid.branches:
            expected.append(block_by_hand(expected[-1], block))
    for level, truth in zip(levels, expected, strict=True):
        torch.testing.assert_close(level.features[0], truth, atol=1e-9, rtol=0)


@pytest.mark.parametrize("learnable", [False, True])
def test_without_alpha_nothing_is_added(learnable: bool) -> None:
    pyramid = transformer_pyramid(
        dim=8, num_levels=2, num_heads=2, ffn_dim=12, window=5, dropout=0.0,
        alpha=0.0, learnable_alpha=learnable, stem=True, downsampling="after",
    )  # fmt: skip
    features = torch.randn(1, 9, 8)
    first, second = pyramid(features, torch.zeros(1, 9, dtype=torch.bool))
    torch.testing.assert_close(first.features, features)
    torch.testing.assert_close(second.features, features[:, ::2])


def test_a_block_of_the_published_size_has_the_published_parameters() -> None:
    """Three norms for query, key and value, two before the residuals; four projections; two linear layers."""
    dim, hidden = 512, 2048
    count = 5 * 2 * dim + 4 * (dim * dim + dim) + (dim * hidden + hidden) + (hidden * dim + dim)
    assert count == 3_155_456
    block = TransformerBlock(
        dim=dim, num_heads=8, ffn_dim=hidden, window=9, dropout=0.1,
        alpha=1.0, learnable_alpha=False, downsampling="before",
    )  # fmt: skip
    assert sum(parameter.numel() for parameter in block.parameters()) == count
