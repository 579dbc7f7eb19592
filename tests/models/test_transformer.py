import torch

from models.levels import Level
from models.transformer import Encoder, SelfAttention, token_places


def test_ignored_queries_change_nothing_for_the_others() -> None:
    torch.manual_seed(0)
    block = SelfAttention(8, 2, dropout=0.0)
    content, position = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    ignored = torch.tensor([[False, False, False, True, True], [True] * 5])
    found = block(content, position, ignored)
    alone = block(content[:1, :3], position[:1, :3])
    torch.testing.assert_close(found[:1, :3], alone, atol=1e-6, rtol=1e-6)
    assert found.isfinite().all()  # also where all are ignored


def test_positions_guide_attention_but_are_not_read() -> None:
    torch.manual_seed(0)
    block = SelfAttention(8, 2, dropout=0.0)
    same = torch.randn(1, 1, 8).expand(1, 4, 8)
    found = block(same, torch.randn(1, 4, 8))
    torch.testing.assert_close(found, found[:, :1].expand_as(found), atol=1e-6, rtol=1e-6)


def test_token_places_are_centres_within_the_valid_part() -> None:
    mask = torch.tensor([[False] * 4, [False, False, True, True]])
    expected = torch.tensor([[0.125, 0.375, 0.625, 0.875], [0.25, 0.75, 1.25, 1.75]])
    torch.testing.assert_close(token_places(mask), expected)


def test_encoded_tokens_do_not_depend_on_padding() -> None:
    torch.manual_seed(0)
    encoder = Encoder(dim=8, num_heads=2, ffn_dim=16, num_layers=2, num_levels=2, num_points=2, dropout=0.0)
    fine, coarse = torch.randn(1, 5, 8), torch.randn(1, 3, 8)
    alone = encoder([Level(features, torch.zeros(features.shape[:2]).bool()) for features in (fine, coarse)])
    junk = torch.full((1, 4, 8), 1e3)
    padded = encoder(
        [
            Level(
                torch.cat([features, junk], 1), torch.arange(features.shape[1] + 4)[None] >= features.shape[1]
            )
            for features in (fine, coarse)
        ]
    )
    torch.testing.assert_close(padded.features[~padded.padding_mask], alone.features[0], atol=1e-5, rtol=1e-5)
