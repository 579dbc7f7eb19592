"""Salience heads against Algorithm 1 and Table 3, sample by sample and token by token."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.levels import Level
from models.tp2detr import TP2DETRConfig
from models.tp2detr.salience import FusedCNNs, SalienceHeads, UnifiedMLP, upsample
from tests.models.deformable_detr.test_model import restless


def pyramid_of(length: int, valid: int, levels: int = 3, dim: int = 4) -> list[Level]:
    """A pyramid of random features, with junk where it is padded."""
    made = []
    for _ in range(levels):
        mask = torch.arange(length)[None] >= valid
        made.append(Level(torch.randn(1, length, dim).masked_fill(mask[..., None], 1e4), mask))
        length, valid = -(-length // 2), -(-valid // 2)
    return made


@pytest.mark.parametrize("how", ["nearest", "linear"])
@pytest.mark.parametrize(("length", "valid"), [(1, 1), (7, 7), (16, 16), (13, 6)])
def test_upsampling_by_hand(how: str, length: int, valid: int) -> None:
    """Level l has its tokens' centres at (i + 0.5) * 2^l; beyond the outermost the value stays."""
    levels = pyramid_of(length, valid)
    for step, (level, fine) in enumerate(zip(levels, upsample(levels, how), strict=True)):
        coarse = level.features[0, : -(-valid // 2**step)].numpy()
        if how == "nearest":
            expected = np.stack([coarse[math.floor(token / 2**step)] for token in range(valid)])
        else:
            centres = (np.arange(len(coarse)) + 0.5) * 2**step
            tokens = np.arange(valid) + 0.5
            expected = np.stack([np.interp(tokens, centres, column) for column in coarse.T], axis=1)
        np.testing.assert_allclose(fine.features[0, :valid].numpy(), expected, atol=1e-5)
        assert torch.equal(fine.padding_mask, levels[0].padding_mask)


@pytest.mark.parametrize("how", ["nearest", "linear"])
def test_upsampling_whole_windows_is_interpolation(how: str) -> None:
    levels = pyramid_of(32, 32)
    for level, fine in zip(levels, upsample(levels, how), strict=True):
        options = {"align_corners": False} if how == "linear" else {}
        expected = F.interpolate(level.features.mT, size=32, mode=how, **options).mT
        torch.testing.assert_close(fine.features, expected)


def test_the_unified_head_sees_all_levels_of_a_token_side_by_side() -> None:
    torch.manual_seed(0)
    head = restless(UnifiedMLP(4, 3, "nearest"))
    levels = pyramid_of(9, 9)
    logits = head(levels)
    first, second = head.mlp.hidden[0], head.mlp.output
    for token in range(9):
        row = torch.cat([level.features[0, token // 2**step] for step, level in enumerate(levels)])
        expected = second.weight @ F.relu(first.weight @ row + first.bias) + second.bias
        torch.testing.assert_close(logits[0, token, None], expected)


@pytest.mark.parametrize("fusion", ["max", "mean", "adaptive"])
def test_each_level_scores_by_a_cnn_of_its_own(fusion: str) -> None:
    torch.manual_seed(0)
    head = restless(FusedCNNs(4, 3, "nearest", fusion))
    levels = pyramid_of(9, 6)
    logits = head(levels)
    scores = []
    for step, (level, cnn) in enumerate(zip(levels, head.cnns, strict=True)):
        kept = level.features[:, : -(-6 // 2**step)]
        own = cnn[2](F.leaky_relu(F.conv1d(kept.mT, cnn[0].weight, cnn[0].bias, padding=1), 0.2))[0, 0]
        scores.append([own[token // 2**step].item() for token in range(6)])
    if fusion == "max":
        expected = np.max(scores, axis=0)
    elif fusion == "mean":
        expected = np.mean(scores, axis=0)
    else:
        weights = np.exp(head.level_weights.detach().numpy())
        expected = (weights / weights.sum()) @ np.array(scores)
    np.testing.assert_allclose(logits[0, :6].detach().numpy(), expected, atol=1e-5)


def test_adaptive_fusion_starts_as_the_mean() -> None:
    torch.manual_seed(0)
    adaptive = FusedCNNs(4, 3, "linear", "adaptive")
    mean = FusedCNNs(4, 3, "linear", "mean")
    mean.cnns.load_state_dict(adaptive.cnns.state_dict())
    levels = pyramid_of(12, 12)
    torch.testing.assert_close(adaptive(levels), mean(levels))


@pytest.mark.parametrize("share", [True, False])
def test_heads_are_shared_or_not(share: bool) -> None:
    config = TP2DETRConfig.tiny(num_levels=3, share_salience_head=share)
    heads = restless(SalienceHeads(config))
    levels = pyramid_of(9, 9, dim=config.dim)
    found = heads({"pyramid": levels, "encoder": levels})
    same = torch.equal(found["pyramid"].logits, found["encoder"].logits)
    assert same is share
    assert len(heads.heads) == (1 if share else 2)
