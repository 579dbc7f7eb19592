from typing import Any

import pytest
import torch
from torch import Tensor

from models.criterion import SetCriterion
from models.detection import DetectorOutput, SetPrediction, Target, decode
from models.detectors import build_criterion
from models.dualdetr import DualDETR, DualDETRConfig
from models.parameter_roles import parameter_roles
from tests.models.deformable_detr.test_model import padded, restless
from tests.models.dualdetr.cases import LOSS

TARGET = Target(torch.tensor([[0.1, 0.3], [0.2, 0.9]]), torch.tensor([0, 2]))
EMPTY = Target(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))


def tiny(**changes: Any) -> DualDETR:
    torch.manual_seed(0)
    return DualDETR(DualDETRConfig.tiny(**changes), 16, 3)


def learns(model: DualDETR, output: DetectorOutput, targets: list[Target]) -> dict[str, Tensor]:
    """The losses, after a backward pass that reached every parameter with a number."""
    losses = build_criterion(LOSS)(output, targets)
    losses["total"].backward()
    assert all(value.isfinite() for value in losses.values())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    return losses


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_levels": 3, "actionness": True},
        {"initialisation": "learnt"},
        {"decoding": "combined", "refine_contents": True},
    ],
)
def test_a_sample_alone_and_padded_in_a_batch_give_the_same(changes: dict[str, Any]) -> None:
    """From one token (fewer than queries) to the whole batch, odd and even, whatever the padding holds."""
    model = restless(tiny(**changes))
    samples = [torch.randn(length, 16) for length in (1, 2, 7, 12, 23)]
    rows = [padded(sample, 23, float("nan") if index % 2 else 1e4) for index, sample in enumerate(samples)]
    together = model(torch.cat([row for row, _ in rows]), torch.cat([mask for _, mask in rows]))
    for index, sample in enumerate(samples):
        alone = model(sample[None], torch.zeros(1, len(sample), dtype=torch.bool))
        dense = [(alone.encoder, together.encoder)] if alone.encoder else []
        for one, many in [*zip(alone.layers, together.layers, strict=True), *dense]:
            assert one is not None
            assert many is not None
            assert_same_where_valid(one, many, index)
        expected = 8 if "initialisation" in changes else min(8, tokens(len(sample), model.config.num_levels))
        assert alone.final.valid.sum() == expected
        assert alone.final.segments.shape == (1, 8, 2)


def tokens(length: int, num_levels: int) -> int:
    """Of all levels, each with half as many as the one before, rounded up."""
    return length + tokens((length + 1) // 2, num_levels - 1) if num_levels else 0


def assert_same_where_valid(one: SetPrediction, many: SetPrediction, index: int) -> None:
    assert one.valid.sum() == many.valid[index].sum()
    pairs = [(one.segments, many.segments), (one.logits, many.logits)]
    if one.actionness is not None and many.actionness is not None:
        pairs.append((one.actionness, many.actionness))
    for left, right in pairs:
        torch.testing.assert_close(
            left[0, one.valid[0]], right[index, many.valid[index]], atol=1e-5, rtol=1e-5
        )


def test_the_output_does_depend_on_the_input_and_on_its_order() -> None:
    model = restless(tiny())
    features, mask = torch.randn(1, 20, 16), torch.zeros(1, 20, dtype=torch.bool)
    first, reverse = model(features, mask), model(features.flip(1), mask)
    assert (first.final.segments - reverse.final.segments).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("changes", "few"),
    [({}, 3), ({"num_levels": 3}, 6), ({"initialisation": "learnt"}, 8), ({"actionness": True}, 3)],
)
def test_padding_only_few_tokens_and_no_truth_in_one_batch(changes: dict[str, Any], few: int) -> None:
    model = tiny(**changes)
    mask = torch.arange(20) >= torch.tensor([[20], [3], [0], [9]])
    features = torch.randn(4, 20, 16).masked_fill(mask[..., None], float("nan"))
    output = model(features, mask)
    for layer in output.layers:
        assert layer.valid.sum(dim=1).tolist() == [8, few, 0, 8]
        assert layer.segments.isfinite().all()
        assert layer.logits.isfinite().all()
    learns(model, output, [TARGET, TARGET, TARGET, EMPTY])
    found = [len(detections.scores) for detections in decode(output, top_k=100)]
    assert found[2] == 0
    assert found[1] <= 3 * few


def test_without_any_truth_everything_learns_that_it_is_background() -> None:
    model = tiny()
    losses = learns(model, model(torch.randn(2, 12, 16), torch.zeros(2, 12).bool()), [EMPTY, EMPTY])
    assert losses["l1"] == 0
    assert losses["l1_encoder"] == 0
    assert losses["class"] > 0
    assert losses["class_encoder"] > 0


def test_only_the_last_layer_has_an_actionness_which_teaches_no_segment() -> None:
    model = restless(tiny(actionness=True))
    output = model(torch.randn(2, 30, 16), torch.zeros(2, 30, dtype=torch.bool))
    assert [layer.actionness is None for layer in output.layers] == [True, False]
    output.final.actionness.sum().backward()
    assert all(parameter.grad is None for parameter in model.decoder.parameters())
    assert any(parameter.grad is not None for parameter in model.encoder.parameters())


def test_the_dense_prediction_covers_every_token_and_is_supervised() -> None:
    model = tiny()
    mask = torch.arange(20) >= torch.tensor([[20], [11]])
    output = model(torch.randn(2, 20, 16), mask)
    assert output.encoder is not None
    assert output.encoder.logits.shape == (2, 20, 3)
    assert (output.encoder.valid == ~mask).all()
    losses = SetCriterion(LOSS)(DetectorOutput(output.layers[-1:], output.encoder), [TARGET, TARGET])
    losses["total"].backward()
    head = model.start.proposals.head
    for layer in (head.classes, head.box.output):
        assert layer.weight.grad is not None
        assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "changes", [{}, {"num_levels": 3}, {"initialisation": "full_position"}, {"initialisation": "learnt"}]
)
def test_bfloat16_autocast_trains_and_stays_near_float32(changes: dict[str, Any]) -> None:
    model = restless(tiny(**changes))
    features, mask = torch.randn(2, 40, 16), torch.arange(40) >= torch.tensor([[40], [17]])
    exact = model(features, mask)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(features, mask)
    assert output.final.segments.dtype == torch.float32
    if output.encoder is not None and exact.encoder is not None:
        assert output.encoder.segments.dtype == torch.float32
        difference = (output.encoder.segments - exact.encoder.segments)[exact.encoder.valid]
    else:
        difference = output.layers[0].segments - exact.layers[0].segments
    assert difference.abs().max() < 0.05
    learns(model, output, [TARGET, TARGET])


def test_sampling_offsets_and_nothing_else_learn_slowly() -> None:
    model = tiny()
    roles = parameter_roles(model)
    ids = [id(parameter) for group in roles.values() for parameter in group]
    assert sorted(ids) == sorted(id(parameter) for parameter in model.parameters())
    slow = {id(parameter) for parameter in roles["slow"]}
    named = {name for name, parameter in model.named_parameters() if id(parameter) in slow}
    assert all("sampling_offsets" in name for name in named)
    assert len(named) == 2 * (1 + 2 * 3)  # weight and bias: one encoder layer, three streams in two layers


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"input_dim=16.* 20 channels"):
        tiny()(torch.zeros(1, 4, 20), torch.zeros(1, 4, dtype=torch.bool))


def test_saving_and_loading_keeps_every_number() -> None:
    model, other = restless(tiny()), tiny(num_queries=8)
    state = model.state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)  # none is saved twice
    other.load_state_dict(state)
    features, mask = torch.randn(1, 9, 16), torch.zeros(1, 9, dtype=torch.bool)
    torch.testing.assert_close(other.eval()(features, mask).final.logits, model(features, mask).final.logits)
