"""What every temporal feature pyramid promises, whatever it is made of."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from models.levels import Level
from models.pyramids.convolution import convolution_pyramid
from models.pyramids.direct import DirectPyramid
from models.pyramids.sgp import sgp_pyramid
from models.pyramids.transformer import transformer_pyramid
from tests.models.deformable_detr.test_model import restless

DIM, LEVELS = 16, 4


def transformer(**changes: object) -> nn.Module:
    given = {
        "dim": DIM, "num_levels": LEVELS, "num_heads": 2, "ffn_dim": 32, "window": 9, "dropout": 0.1,
        "alpha": 1.0, "learnable_alpha": False, "stem": True, "downsampling": "before",
    }  # fmt: skip
    return transformer_pyramid(**(given | changes))


def sgp(**changes: object) -> nn.Module:
    given = {
        "dim": DIM, "num_levels": LEVELS, "kernel": 1, "ffn_dim": 24, "stem": True, "downsampling": "before",
    }  # fmt: skip
    return sgp_pyramid(**(given | changes))


PYRAMIDS: dict[str, Callable[[], nn.Module]] = {
    "direct": lambda: DirectPyramid(LEVELS),
    "convolution": lambda: convolution_pyramid(DIM, LEVELS, stem=False),
    "convolution, released": lambda: convolution_pyramid(DIM, LEVELS, stem=True),
    "sgp": sgp,
    "sgp, paper": lambda: sgp(stem=False, downsampling="after", kernel=3),
    "transformer": transformer,
    "transformer, paper": lambda: transformer(stem=False, downsampling="after"),
    "transformer, wide window": lambda: transformer(window=17, alpha=0.1, learnable_alpha=True),
}
EACH = pytest.mark.parametrize("make", PYRAMIDS.values(), ids=PYRAMIDS)


def build(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return restless(make())


@EACH
@pytest.mark.parametrize("length", [1, 7, 64, 100, 128, 513])
def test_each_level_has_half_the_tokens_of_the_one_before_rounded_up(
    make: Callable[[], nn.Module], length: int
) -> None:
    valid = torch.tensor([length, (length + 1) // 2, 0])
    mask = torch.arange(length) >= valid[:, None]
    features = torch.randn(3, length, DIM).masked_fill(mask[..., None], 0.0)
    levels = build(make)(features, mask)
    assert len(levels) == LEVELS
    for level in levels:
        assert level.features.shape == (3, length, DIM)
        assert level.features.isfinite().all()
        assert (level.padding_mask == (torch.arange(length) >= valid[:, None])).all()
        length, valid = -(-length // 2), -(-valid // 2)


@EACH
@pytest.mark.parametrize("junk", [float("nan"), 1e4])
def test_a_sample_alone_and_padded_in_a_batch_give_the_same(
    make: Callable[[], nn.Module], junk: float
) -> None:
    pyramid = build(make)
    samples = [torch.randn(length, DIM) for length in (1, 2, 3, 8, 13, 30, 41)]
    batch = torch.full((len(samples), 41, DIM), junk)
    for row, sample in zip(batch, samples, strict=True):
        row[: len(sample)] = sample
    mask = torch.arange(41) >= torch.tensor([[len(sample)] for sample in samples])
    together = pyramid(batch, mask)
    for index, sample in enumerate(samples):
        alone = pyramid(sample[None], torch.zeros(1, len(sample), dtype=torch.bool))
        for one, many in zip(alone, together, strict=True):
            assert not one.padding_mask.any()
            part = many.features[index][~many.padding_mask[index]]
            torch.testing.assert_close(one.features[0], part, atol=1e-5, rtol=1e-5)


@EACH
@pytest.mark.parametrize("autocast", [False, True])
def test_gradients_reach_every_parameter_whatever_the_padding_holds(
    make: Callable[[], nn.Module], autocast: bool
) -> None:
    pyramid = build(make).train()
    mask = torch.arange(21) >= torch.tensor([[21], [6], [0]])
    features = torch.randn(3, 21, DIM).masked_fill(mask[..., None], float("nan")).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        levels = pyramid(features, mask)
    sum((level.zeroed().features.float() * torch.randn(1)).sum() for level in levels).backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    for name, parameter in pyramid.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # A key's bias shifts all scores of a query alike, and GroupNorm takes out what is common to a group.
        if not name.endswith("key.bias"):
            assert parameter.grad.abs().sum() > 0, name


@EACH
def test_bfloat16_stays_near_float32(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    pyramid = make().eval()
    mask = torch.arange(40) >= torch.tensor([[40], [17]])
    features = torch.randn(2, 40, DIM)
    exact = pyramid(features, mask)
    with torch.autocast("cpu", torch.bfloat16):
        rough = pyramid(features, mask)
    for left, right in zip(exact, rough, strict=True):
        scale = left.zeroed().features.abs().max()
        assert (left.zeroed().features - right.zeroed().features.float()).abs().max() < 0.05 * scale


def test_local_attention_and_all_around_it_compile_into_one_graph() -> None:
    pyramid = build(transformer)
    mask = torch.arange(37) >= torch.tensor([[37], [20]])
    features = torch.randn(2, 37, DIM)
    compiled = torch.compile(pyramid, fullgraph=True, backend="eager")
    for left, right in zip(compiled(features, mask), pyramid(features, mask), strict=True):
        assert isinstance(left, Level)
        torch.testing.assert_close(left.features, right.features)
