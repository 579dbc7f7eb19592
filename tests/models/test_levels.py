import torch

from models.levels import Level, flatten


def test_levels_follow_each_other_and_references_are_scaled_to_each_padded_length() -> None:
    fine = Level(torch.randn(2, 4, 3), torch.tensor([[False] * 4, [False, False, False, True]]))
    coarse = Level(torch.randn(2, 2, 3), torch.tensor([[False] * 2, [False, True]]))
    tokens = flatten([fine, coarse])
    assert tokens.lengths == (4, 2)
    torch.testing.assert_close(tokens.features[:, 4:], coarse.features)
    torch.testing.assert_close(tokens.valid_ratios, torch.tensor([[1.0, 1.0], [0.75, 0.5]]))
    reference = torch.tensor([[[0.4, 0.2]], [[0.4, 0.2]]])
    expected = torch.tensor([[[[0.4, 0.2], [0.4, 0.2]]], [[[0.3, 0.15], [0.2, 0.1]]]])
    torch.testing.assert_close(tokens.scale(reference), expected)
