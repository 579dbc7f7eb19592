import pytest
import torch
from torch import Tensor

from models.attention import DeformableAttention

BATCH, QUERIES, DIM, HEADS, POINTS = 2, 3, 6, 2, 3


def written_as_loops(
    attention: DeformableAttention,
    query: Tensor,
    reference: Tensor,
    value: Tensor,
    lengths: list[int],
    mask: Tensor,
) -> Tensor:
    """The definition, one number at a time; interpolating is a sum over hat functions at the tokens."""
    heads, points = attention.num_heads, attention.num_points
    width = value.shape[-1] // heads
    rows = []
    for b in range(query.shape[0]):
        projected = []
        for token in range(value.shape[1]):
            row = attention.value_proj.weight @ value[b, token] + attention.value_proj.bias
            projected.append(row * 0 if mask[b, token] else row)
        for q in range(query.shape[1]):
            offsets = attention.sampling_offsets.weight @ query[b, q] + attention.sampling_offsets.bias
            scores = attention.attention_weights.weight @ query[b, q] + attention.attention_weights.bias
            parts = []
            for m in range(heads):
                per_head = len(lengths) * points
                weights = scores[m * per_head : (m + 1) * per_head].exp()
                weights = weights / weights.sum()
                total = torch.zeros(width, dtype=value.dtype)
                first = 0
                for level, length in enumerate(lengths):
                    for k in range(points):
                        which = level * points + k
                        offset = offsets[m * per_head + which]
                        place = reference[b, q, level, 0]
                        if reference.shape[-1] == 1:
                            place = place + offset / length
                        else:
                            place = place + offset / points * reference[b, q, level, 1] * 0.5
                        index = place * length - 0.5
                        for token in range(length):
                            share = (1 - (index - token).abs()).clamp(min=0)
                            head_value = projected[first + token][m * width : (m + 1) * width]
                            total = total + weights[which] * share * head_value
                    first += length
                parts.append(total)
            rows.append(attention.output_proj.weight @ torch.cat(parts) + attention.output_proj.bias)
    return torch.stack(rows).view(query.shape)


def case(
    lengths: list[int], reference_dim: int
) -> tuple[DeformableAttention, Tensor, Tensor, Tensor, Tensor]:
    """A module far from its initialisation, references that also reach outside, and padding."""
    torch.manual_seed(len(lengths) * 10 + reference_dim)
    attention = DeformableAttention(DIM, HEADS, len(lengths), POINTS).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    query = torch.randn(BATCH, QUERIES, DIM, dtype=torch.float64)
    reference = torch.rand(BATCH, QUERIES, len(lengths), reference_dim, dtype=torch.float64) * 1.4 - 0.2
    value = torch.randn(BATCH, sum(lengths), DIM, dtype=torch.float64)
    mask = torch.cat(
        [torch.arange(length).expand(2, -1) >= torch.tensor([[length], [length // 2]]) for length in lengths],
        1,
    )
    return attention, query, reference, value, mask


CASES = pytest.mark.parametrize(
    ("lengths", "reference_dim"), [([7], 1), ([7], 2), ([6, 3], 1), ([6, 3, 1], 2)]
)


@CASES
def test_equals_the_definition_forward_and_gradients(lengths: list[int], reference_dim: int) -> None:
    attention, query, reference, value, mask = case(lengths, reference_dim)
    inputs = [tensor.requires_grad_() for tensor in (query, reference, value)] + list(attention.parameters())
    found = attention(query, reference, value, lengths, mask)
    expected = written_as_loops(attention, query, reference, value, lengths, mask)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    direction = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad(found, inputs, direction),
        torch.autograd.grad(expected, inputs, direction),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@CASES
def test_gradients_are_those_of_the_function(lengths: list[int], reference_dim: int) -> None:
    attention, query, reference, value, mask = case(lengths, reference_dim)
    inputs = [tensor.requires_grad_() for tensor in (query, reference, value)]
    assert torch.autograd.gradcheck(lambda q, r, v: attention(q, r, v, lengths, mask), inputs, atol=1e-6)


def test_float32_and_bfloat16_autocast_stay_near_float64() -> None:
    lengths = [6, 3]
    attention, query, reference, value, mask = case(lengths, 2)
    exact = attention(query, reference, value, lengths, mask)
    attention, inputs = attention.float(), [tensor.float() for tensor in (query, reference, value)]
    torch.testing.assert_close(attention(*inputs, lengths, mask).double(), exact, atol=1e-5, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        rough = attention(*inputs, lengths, mask)
    assert (rough.double() - exact).abs().max() < 0.1 * exact.abs().max()


def test_places_keep_full_precision_under_autocast() -> None:
    """One token of 2000 holds a value, and only the query that refers to it reads it."""
    length = 2000
    attention = DeformableAttention(1, 1, 1, 1)
    with torch.no_grad():
        attention.sampling_offsets.bias.zero_()
        attention.value_proj.weight.fill_(1)
        attention.output_proj.weight.fill_(1)
    reference = torch.tensor([1776.5, 1777.5, 1778.5]).view(1, 3, 1, 1) / length
    value = torch.zeros(1, length, 1)
    value[0, 1777] = 1
    with torch.autocast("cpu", torch.bfloat16):
        found = attention(torch.zeros(1, 3, 1), reference, value, [length], torch.zeros(1, length).bool())
    torch.testing.assert_close(found.float().flatten(), torch.tensor([0.0, 1.0, 0.0]), atol=1e-3, rtol=0)


def test_a_head_that_is_alone_looks_both_ways() -> None:
    bias = DeformableAttention(8, 1, 2, 4).sampling_offsets.bias.detach().view(2, 4)
    assert bias.tolist() == [[1, -2, 3, -4]] * 2


def test_fresh_heads_look_evenly_at_points_that_do_not_depend_on_the_query() -> None:
    heads, points, lengths = 8, 4, [40, 20]
    attention = DeformableAttention(16, heads, 2, points)
    bias = attention.sampling_offsets.bias.detach().view(heads, 2, points)
    for head in range(heads):
        for point in range(points):
            expected = (point + 1) * (1 - 2 * head / (heads - 1))
            assert torch.allclose(bias[head, :, point], torch.tensor(expected), atol=1e-6)
    with torch.no_grad():
        attention.value_proj.weight.copy_(torch.eye(16))
        attention.output_proj.weight.copy_(torch.eye(16))
    value, mask = torch.randn(1, 60, 16), torch.zeros(1, 60, dtype=torch.bool)
    reference = torch.tensor([20.5 / 40, 10.5 / 20]).view(1, 1, 2, 1)
    found = attention(torch.randn(1, 1, 16), reference, value, lengths, mask)
    ahead = torch.cat([value[0, 21:25, :2], value[0, 40 + 11 : 40 + 15, :2]]).mean(0)
    behind = torch.cat([value[0, 16:20, 14:], value[0, 40 + 6 : 40 + 10, 14:]]).mean(0)
    torch.testing.assert_close(found[0, 0, :2], ahead, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[0, 0, 14:], behind, atol=1e-5, rtol=1e-5)


def test_places_far_outside_read_nothing() -> None:
    attention = DeformableAttention(4, 2, 1, 2)
    mask = torch.zeros(1, 5, dtype=torch.bool)
    reference = torch.tensor([1e30, -1e30]).view(1, 2, 1, 1)
    found = attention(torch.randn(1, 2, 4), reference, torch.randn(1, 5, 4), [5], mask)
    torch.testing.assert_close(found, attention.output_proj.bias.expand(1, 2, 4))


def test_a_query_that_is_not_a_number_harms_only_itself() -> None:
    torch.manual_seed(0)
    attention = DeformableAttention(4, 2, 1, 2)
    torch.nn.init.normal_(attention.sampling_offsets.weight)
    query, mask = torch.randn(1, 2, 4), torch.zeros(1, 5, dtype=torch.bool)
    query[0, 1] = torch.nan
    found = attention(query, torch.full((1, 2, 1, 1), 0.5), torch.randn(1, 5, 4), [5], mask)
    assert found[0, 0].isfinite().all()
    assert found[0, 1].isnan().all()


def test_lengths_that_do_not_add_up_are_refused() -> None:
    attention = DeformableAttention(4, 2, 2, 2)
    inputs = torch.zeros(1, 1, 4), torch.zeros(1, 1, 2, 1), torch.zeros(1, 5, 4)
    with pytest.raises(ValueError, match=r"5 tokens .* \(4, 2\)"):
        attention(*inputs, [4, 2], torch.zeros(1, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="num_heads=3"):
        DeformableAttention(4, 3, 1, 1)
