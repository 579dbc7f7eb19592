import math

import torch

from models.positions import sine_positions


def test_equals_the_formula_written_as_loops() -> None:
    mask = torch.tensor([[False] * 5, [False, False, False, True, True]])
    found = sine_positions(mask, dim=6)
    assert found.dtype == torch.float32
    assert found.shape == (2, 5, 6)
    for sample, count in enumerate((5, 3)):
        for token in range(count):
            place = (token + 0.5) / count * 2 * math.pi
            for channel in range(6):
                angle = place / 10000 ** (2 * (channel // 2) / 6)
                expected = math.cos(angle) if channel % 2 else math.sin(angle)
                assert abs(found[sample, token, channel].item() - expected) < 1e-5


def test_all_padding_is_finite() -> None:
    assert sine_positions(torch.ones(1, 4, dtype=torch.bool), dim=4).isfinite().all()
