import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.local_attention import local_attention


def dense_attention(query: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor, window: int) -> Tensor:
    """All pairs of tokens, those too far apart or in padding struck out."""
    index = torch.arange(query.shape[2])
    near = (index[:, None] - index).abs() <= window // 2
    seen = near & ~padding_mask[:, None, None, :]
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    weights = scores.masked_fill(~seen, -1e30).softmax(dim=-1)
    return (weights @ value).masked_fill(padding_mask[:, None, :, None], 0.0)


def tensors(batch: int, heads: int, length: int, width: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, heads, length, width)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(3)
    ]


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(1, 140),
    window=st.integers(0, 25).map(lambda radius: 2 * radius + 1),
    valid=st.lists(st.integers(0, 140), min_size=1, max_size=3),
    seed=st.integers(0, 10),
)
def test_equals_dense_attention_with_a_band_mask(
    length: int, window: int, valid: list[int], seed: int
) -> None:
    """Forward and gradient in float64: any length and window, whole, short and empty samples."""
    mask = torch.arange(length) >= torch.tensor(valid)[:, None]
    local, dense = tensors(len(valid), 2, length, 3, seed), tensors(len(valid), 2, length, 3, seed)
    found, expected = local_attention(*local, mask, window), dense_attention(*dense, mask, window)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    for left, right in zip(local, dense, strict=True):
        torch.testing.assert_close(left.grad, right.grad, atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [512, 513])
def test_long_sequences_of_many_blocks(length: int) -> None:
    mask = torch.arange(length) >= torch.tensor([[length], [200]])
    query, key, value = tensors(2, 1, length, 4)
    torch.testing.assert_close(
        local_attention(query, key, value, mask, 17),
        dense_attention(query, key, value, mask, 17),
        atol=1e-6,
        rtol=0,
    )


def test_memory_grows_with_the_length_and_not_with_its_square() -> None:
    """With 16 times the tokens, the largest tensor that the backward pass needs is 16 times as large."""

    def largest(length: int) -> int:
        query, key, value = tensors(1, 1, length, 4)
        mask = torch.zeros(1, length, dtype=torch.bool)
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            local_attention(query, key, value, mask, 9)
        return max(sizes)

    assert largest(4096) == 16 * largest(256)


def test_bfloat16_stays_near_float32() -> None:
    mask = torch.arange(70) >= torch.tensor([[70], [0]])
    query, key, value = (tensor.float() for tensor in tensors(2, 2, 70, 8))
    exact = local_attention(query, key, value, mask, 9)
    with torch.autocast("cpu", torch.bfloat16):
        rough = local_attention(query, key, value, mask, 9)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, atol=0.03, rtol=0.03)
