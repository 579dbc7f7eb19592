import pytest
import torch

from models.pyramids.direct import DirectPyramid


@pytest.mark.parametrize("length", [1, 2, 7, 64, 100, 513])
def test_each_level_keeps_every_second_token_of_the_one_before(length: int) -> None:
    features = torch.arange(2 * length * 3.0).view(2, length, 3)
    mask = torch.arange(length).expand(2, -1) >= torch.tensor([[length], [length // 2 + 1]])
    levels = DirectPyramid(4)(features, mask)
    assert len(levels) == 4
    for level in levels:
        tokens = range(0, length)
        torch.testing.assert_close(level.features, features)
        torch.testing.assert_close(level.padding_mask, mask)
        kept = [token for token in tokens if token % 2 == 0]
        features, mask, length = features[:, kept], mask[:, kept], len(kept)


def test_a_sample_keeps_as_many_tokens_as_without_padding() -> None:
    for valid in range(1, 20):
        alone = DirectPyramid(4)(torch.zeros(1, valid, 1), torch.zeros(1, valid, dtype=torch.bool))
        padded = DirectPyramid(4)(torch.zeros(1, 24, 1), torch.arange(24)[None] >= valid)
        assert [level.features.shape[1] for level in alone] == [
            int((~level.padding_mask).sum()) for level in padded
        ]
