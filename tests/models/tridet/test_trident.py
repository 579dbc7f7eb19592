import torch

from models.tridet.trident import trident_distances

BINS, TOKENS, CLASSES = 16, 60, 2


def around(*shape: int) -> torch.Tensor:
    return torch.zeros(1, TOKENS, *shape, 2, BINS + 1)


def test_where_nothing_is_known_a_boundary_lies_halfway() -> None:
    flat = torch.zeros(1, TOKENS, CLASSES)
    torch.testing.assert_close(
        trident_distances(flat, flat, around(1)), torch.full((1, TOKENS, CLASSES, 2), 8.0)
    )


def test_a_peak_of_starts_and_of_ends_is_found() -> None:
    starts, ends = torch.zeros(2, 1, TOKENS, CLASSES)
    starts[0, 24, 1], ends[0, 36, 1] = 8.0, 8.0
    found = trident_distances(starts, ends, around(1))
    torch.testing.assert_close(found[0, 30, 1], torch.tensor([6.0113, 6.0113]), atol=1e-4, rtol=0)
    torch.testing.assert_close(found[0, 30, 0], torch.tensor([8.0, 8.0]))


def test_it_is_the_mean_over_the_tokens_beside_a_point() -> None:
    torch.manual_seed(0)
    starts, ends = torch.randn(2, 1, TOKENS, CLASSES)
    for classes in (1, CLASSES):
        centre = torch.rand(1, TOKENS, classes, 2, BINS + 1)
        found = trident_distances(starts, ends, centre)
        for token in (0, 5, 31, TOKENS - 1):
            for label in range(CLASSES):
                own = centre[0, token, label if classes > 1 else 0]
                left = [starts[0, t, label] if (t := token - BINS + j) >= 0 else 0.0 for j in range(BINS + 1)]
                right = [ends[0, t, label] if (t := token + j) < TOKENS else 0.0 for j in range(BINS + 1)]
                shares = [
                    (torch.tensor(logits) + o).softmax(0)
                    for logits, o in zip((left, right), own, strict=True)
                ]
                expected = [
                    sum(float(share) * abs(j - zero) for j, share in enumerate(part))
                    for part, zero in zip(shares, (BINS, 0), strict=True)
                ]
                torch.testing.assert_close(
                    found[0, token, label], torch.tensor(expected), atol=1e-4, rtol=1e-4
                )
    assert (found >= 0).all()
    assert (found <= BINS).all()
