"""RoI-align within a network, against the one on arrays, which is held to torchvision's rules."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.levels import Level, Tokens, flatten
from models.roi_align import roi_align
from models.roi_features import roi_features

LENGTHS = (40, 23, 2, 1)
SEGMENTS = torch.tensor([[0.0, 1.0], [0.1, 0.35], [0.5, 0.51], [0.97, 1.0], [0.3, 0.3], [0.0, 0.93]])


def tokens(junk: float) -> Tokens:
    """Four samples of a two-level pyramid, of which only the first is whole, the rest padded by junk."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(len(LENGTHS), max(LENGTHS), 3, generator=generator)
    mask = torch.arange(max(LENGTHS)) >= torch.tensor(LENGTHS)[:, None]
    features = features.masked_fill(mask[..., None], junk)
    return flatten([Level(features, mask), Level(features[:, ::2], mask[:, ::2])])


@pytest.mark.parametrize("bins", [1, 4, 16])
def test_bins_are_those_of_the_valid_part_alone(bins: int) -> None:
    made = tokens(junk=float("nan"))
    read = roi_features(made, SEGMENTS.expand(len(LENGTHS), -1, -1), bins)
    for sample, length in enumerate(LENGTHS):
        expected = roi_align(made.features[sample, :length].numpy(), SEGMENTS.numpy() * length, bins)
        np.testing.assert_allclose(read[sample].numpy(), expected, atol=1e-5)


def test_the_gradient_is_that_of_the_features() -> None:
    made = tokens(junk=0.0)
    features: Tensor = made.features[:1, :40].double().requires_grad_()
    mask = torch.zeros(1, 40, dtype=torch.bool)
    segments = SEGMENTS[None].clone().requires_grad_()
    read = roi_features(flatten([Level(features.float(), mask)]), segments, 4)
    read.sum().backward()
    assert segments.grad is None
    # What is read is a weighted mean, so that each bin hands on a weight of one in all.
    torch.testing.assert_close(features.grad.sum(), torch.tensor(4.0 * 3 * len(SEGMENTS)).double())


def test_a_sample_of_padding_reads_nothing() -> None:
    mask = torch.ones(1, 5, dtype=torch.bool)
    read = roi_features(flatten([Level(torch.full((1, 5, 3), torch.nan), mask)]), SEGMENTS[None], 4)
    assert (read == 0).all()
