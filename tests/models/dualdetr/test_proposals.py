import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.detection import SetPrediction
from models.dualdetr import DualDETRConfig
from models.dualdetr.initialisation import ProposalHead, select
from models.dualdetr.queries import inside
from models.levels import Level, Tokens, flatten
from models.segments import tiou


def encoded(lengths: list[int], *coarser: list[int], dim: int = 32) -> Tokens:
    torch.manual_seed(0)
    masks = [torch.arange(max(level)) >= torch.tensor(level)[:, None] for level in (lengths, *coarser)]
    return flatten([Level(torch.randn(*mask.shape, dim), mask) for mask in masks])


def dense(logits: Tensor) -> SetPrediction:
    """With the segment of token i around (i + 1) / 100, so that it names its token."""
    centre = (torch.arange(logits.shape[1]) + 1) / 100
    segments = torch.stack((centre - 0.004, centre + 0.004), dim=-1)
    return SetPrediction(segments.expand(*logits.shape[:2], 2), logits, torch.ones(logits.shape[:2]).bool())


def test_the_tokens_with_the_surest_best_class_are_chosen() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 20, 4, generator=generator)
    tokens = torch.randn(3, 20, 8, generator=generator)
    found = select(tokens, dense(logits), torch.ones(3, 20).bool(), num_queries=6)
    assert found.valid.all()
    for sample in range(3):
        order = sorted(range(20), key=lambda token: -max(logits[sample, token].tolist()))[:6]
        torch.testing.assert_close(found.tokens[sample], tokens[sample, order])
        torch.testing.assert_close(found.segments[sample].mean(-1), (torch.tensor(order) + 1) / 100)


def test_tokens_that_are_not_eligible_are_never_chosen_however_sure() -> None:
    logits, eligible = torch.zeros(1, 9, 2), torch.arange(9)[None] < 4
    logits[0, 4:] = 50.0
    found = select(torch.randn(1, 9, 8), dense(logits), eligible, num_queries=6)
    assert found.valid.tolist() == [[True] * 4 + [False] * 2]
    assert sorted((found.segments[0, :4].mean(-1) * 100).round().int().tolist()) == [1, 2, 3, 4]


def test_with_fewer_tokens_than_queries_the_rest_is_not_valid() -> None:
    found = select(torch.randn(2, 3, 8), dense(torch.zeros(2, 3, 2)), torch.ones(2, 3).bool(), num_queries=5)
    assert found.valid.tolist() == [[True] * 3 + [False] * 2] * 2
    assert found.segments.shape == (2, 5, 2)
    assert found.tokens.shape == (2, 5, 8)
    assert found.segments.isfinite().all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.sampled_from([0.2, 0.5, 0.7, 0.95]), queries=st.integers(1, 12))
def test_proposals_are_distinct_as_greedy_suppression_has_it(seed: int, most: float, queries: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 30, 3, generator=generator)
    centre, width = torch.rand(2, 2, 30, generator=generator)
    segments = torch.stack((centre - width / 2, centre + width / 2), dim=-1)
    eligible = torch.rand(2, 30, generator=generator) < 0.9
    prediction = SetPrediction(segments, logits, torch.ones(2, 30).bool())
    found = select(torch.randn(2, 30, 8), prediction, eligible, queries, most)
    for sample in range(2):
        kept: list[int] = []
        order = sorted(range(30), key=lambda token: -max(logits[sample, token].tolist()))
        order = [token for token in order if eligible[sample, token]][: 4 * queries]
        for token in order:
            if all(tiou(*inside(segments[sample, [token, other]])) <= most for other in kept):
                kept.append(token)
        kept = kept[:queries]
        assert found.valid[sample].sum() == len(kept)
        torch.testing.assert_close(found.segments[sample, : len(kept)], inside(segments[sample, kept]))


def test_a_fresh_head_proposes_the_base_duration_around_every_token_at_the_class_prior() -> None:
    head = ProposalHead(DualDETRConfig.tiny(base_duration=0.2, class_prior=0.1), 1)
    torch.nn.init.zeros_(head.head.classes.weight)
    _, found = head(encoded([5, 3]))
    assert found.valid.tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    for sample, length in enumerate((5, 3)):
        centre = (torch.arange(length) + 0.5) / length
        expected = torch.stack((centre - 0.1, centre + 0.1), dim=-1)
        torch.testing.assert_close(found.segments[sample, :length], expected)
    torch.testing.assert_close(found.logits, torch.full_like(found.logits, math.log(0.1 / 0.9)))


def test_segments_start_twice_as_long_on_each_coarser_level() -> None:
    head = ProposalHead(DualDETRConfig.tiny(base_duration=0.1, num_levels=3), 1)
    _, found = head(encoded([5, 3], [3, 2], [2, 1]))
    for sample, lengths in enumerate([(5, 3, 2), (3, 2, 1)]):
        expected = [
            ((i + 0.5) / length - width / 2, (i + 0.5) / length + width / 2)
            for length, width in zip(lengths, (0.1, 0.2, 0.4), strict=True)
            for i in range(length)
        ]
        torch.testing.assert_close(found.segments[sample, found.valid[sample]], torch.tensor(expected))


def test_nothing_is_proposed_from_padding_nor_from_the_very_ends() -> None:
    """The margin takes the outermost tokens of ten, and none of three."""
    head = ProposalHead(DualDETRConfig.tiny(num_queries=12, border_margin=0.12), 1)
    proposals, _ = head(encoded([10, 3, 0]))
    expected = [[0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85], [1 / 6, 3 / 6, 5 / 6], []]
    for sample, centres in enumerate(expected):
        chosen = proposals.segments[sample, proposals.valid[sample]].mean(-1).sort().values
        torch.testing.assert_close(chosen, torch.tensor(centres))
    assert proposals.segments.isfinite().all()


def test_proposals_carry_no_gradient_but_the_dense_prediction_does() -> None:
    head = ProposalHead(DualDETRConfig.tiny(), 1)
    proposals, found = head(encoded([10]))
    assert not proposals.segments.requires_grad
    assert found.segments.requires_grad
    assert found.logits.requires_grad
