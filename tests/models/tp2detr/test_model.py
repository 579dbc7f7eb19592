import io
from typing import Any

import pytest
import torch
from torch import Tensor

from models.deformable_detr import DeformableDETR, DeformableDETRConfig
from models.detection import DetectorOutput, Target, decode
from models.parameter_roles import parameter_roles
from models.tp2detr import TP2DETR, TP2DETRConfig, TP2DETRLossConfig
from models.tp2detr.loss import TP2DETRCriterion
from tests.models.deformable_detr.test_model import padded, restless

TARGET = Target(torch.tensor([[0.1, 0.3], [0.2, 0.9]]), torch.tensor([0, 0]))
EMPTY = Target(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long))


def tiny(input_dim: int = 16, **changes: Any) -> TP2DETR:
    torch.manual_seed(0)
    return TP2DETR(TP2DETRConfig.tiny(**changes), input_dim, 1)


def learns(model: TP2DETR, output: DetectorOutput, targets: list[Target]) -> dict[str, Tensor]:
    """The losses, after a backward pass that reached every parameter with a number."""
    losses = TP2DETRCriterion(TP2DETRLossConfig())(output, targets)
    losses["total"].backward()
    assert all(value.isfinite() for value in losses.values())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    return losses


@pytest.mark.parametrize("pyramid", ["direct", "convolution", "sgp", "transformer"])
def test_a_sample_alone_and_padded_in_a_batch_give_the_same(pyramid: str) -> None:
    """Proposals and salience logits, from one token on, whatever the padding holds."""
    model = restless(tiny(pyramid=pyramid, salience_upsampling="linear"))
    samples = [torch.randn(length, 16) for length in (1, 2, 7, 12, 23)]
    rows = [padded(sample, 23, float("nan") if index % 2 else 1e4) for index, sample in enumerate(samples)]
    batch, mask = torch.cat([row for row, _ in rows]), torch.cat([mask for _, mask in rows])
    together, salience = model(batch, mask), model.salience(batch, mask)
    for index, sample in enumerate(samples):
        whole = torch.zeros(1, len(sample), dtype=torch.bool)
        for one, many in zip(model(sample[None], whole).layers, together.layers, strict=True):
            torch.testing.assert_close(one.segments[0], many.segments[index], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(one.logits[0], many.logits[index], atol=1e-5, rtol=1e-5)
        for place, alone in model.salience(sample[None], whole).items():
            found = salience[place].logits[index, : len(sample)]
            torch.testing.assert_close(alone.logits[0], found, atol=1e-5, rtol=1e-5)
            assert (salience[place].padding_mask == mask).all()


@pytest.mark.parametrize("pyramid", ["direct", "convolution", "sgp", "transformer"])
@pytest.mark.parametrize("length", [1, 7, 64])
def test_any_length_learns_with_empty_and_padded_samples(pyramid: str, length: int) -> None:
    model = tiny(pyramid=pyramid)
    mask = torch.arange(length) >= torch.tensor([[length], [length // 2 + 1], [0], [length]])
    features = torch.randn(4, length, 16).masked_fill(mask[..., None], float("nan"))
    output = model(features, mask)
    assert output.final.valid.sum(dim=1).tolist() == [8, 8, 0, 8]
    assert {place: salience.logits.shape for place, salience in output.salience.items()} == {
        "pyramid": (4, length),
        "encoder": (4, length),
    }
    losses = learns(model, output, [TARGET, TARGET, TARGET, EMPTY])
    assert losses["salience_pyramid"] > 0
    assert losses["salience_encoder"] > 0
    assert len(decode(output, top_k=5)[2].scores) == 0


def test_without_any_truth_everything_learns_that_it_is_background() -> None:
    model = tiny()
    losses = learns(model, model(torch.randn(2, 12, 16), torch.zeros(2, 12).bool()), [EMPTY, EMPTY])
    assert losses["l1"] == 0
    assert losses["class"] > 0
    assert losses["salience_encoder"] > 0


def test_salience_is_for_training_unless_asked_for() -> None:
    model = tiny(dropout=0.0)
    features, mask = torch.randn(2, 20, 16), torch.arange(20) >= torch.tensor([[20], [9]])
    trained = model(features, mask)
    assert set(trained.salience) == {"pyramid", "encoder"}
    model.eval()
    assert model(features, mask).salience == {}
    asked = model.salience(features, mask)
    for place, salience in trained.salience.items():
        torch.testing.assert_close(asked[place].logits, salience.logits)
    torch.testing.assert_close(model(features, mask).final.logits, trained.final.logits)


@pytest.mark.parametrize(("salience_on", "places"), [("none", set()), ("encoder", {"encoder"})])
def test_only_the_places_that_are_supervised_have_a_head(salience_on: str, places: set[str]) -> None:
    model = tiny(salience_on=salience_on)
    features, mask = torch.randn(1, 9, 16), torch.zeros(1, 9, dtype=torch.bool)
    assert set(model(features, mask).salience) == set(model.salience(features, mask)) == places


@pytest.mark.parametrize("num_levels", [1, 3])
def test_without_pyramid_and_salience_heads_it_is_the_baseline(num_levels: int) -> None:
    sizes: dict[str, Any] = {"num_levels": num_levels}
    torch.manual_seed(3)
    baseline = DeformableDETR(DeformableDETRConfig.tiny(**sizes), 16, 1)
    torch.manual_seed(3)
    ours = TP2DETR(TP2DETRConfig.tiny(pyramid="direct", salience_on="none", **sizes), 16, 1)
    assert type(ours.deformable_detr) is DeformableDETR
    features, mask = torch.randn(2, 15, 16), torch.arange(15) >= torch.tensor([[15], [8]])
    left, right = baseline.eval()(features, mask), ours.eval()(features, mask)
    assert torch.equal(left.final.segments, right.final.segments)
    assert torch.equal(left.final.logits, right.final.logits)


def test_the_parameters_of_the_thumos14_model_add_up_to_the_published_number() -> None:
    """43,674,641, each module counted from its sizes; so much the released model has without its class head."""
    d, ffn, levels, queries = 512, 2048, 4, 40
    linear = lambda inputs, outputs: inputs * outputs + outputs  # noqa: E731
    norm = 2 * d
    block = norm + 3 * norm + 4 * linear(d, d) + norm + linear(d, ffn) + linear(ffn, d)
    places = 8 * levels * 4  # heads, levels, points
    deformable = 2 * linear(d, places) + 2 * linear(d, d)
    feed_forward = linear(d, ffn) + linear(ffn, d) + norm
    encoder = levels * d + 3 * (deformable + norm + feed_forward)
    self_attention = 4 * linear(d, d) + norm
    heads = linear(d, 1) + 2 * linear(d, d) + linear(d, 2)  # actionness and box
    decoder = 5 * (self_attention + deformable + norm + feed_forward + heads)
    decoder += 2 * queries * d + linear(d, 1)  # positions and contents, reference points
    salience = linear(levels * d, d) + linear(d, 1)
    assert levels * block + encoder + decoder + salience == 43_674_641

    model = TP2DETR(TP2DETRConfig(), 512, 1)
    parts = model.deformable_detr
    counted = {
        "pyramid": levels * block,
        "encoder": encoder,
        "decoder": decoder,
        "projection": 0,  # CLIP's features already have 512 channels
    }
    for name, count in counted.items():
        assert sum(p.numel() for p in getattr(parts, name).parameters()) == count, name
    assert model.salience_heads is not None
    assert sum(p.numel() for p in model.salience_heads.parameters()) == salience
    assert sum(p.numel() for p in model.parameters()) == 43_674_641


@pytest.mark.parametrize("pyramid", ["direct", "convolution", "sgp", "transformer"])
def test_every_parameter_learns_at_one_pace(pyramid: str) -> None:
    model = tiny(pyramid=pyramid)
    roles = parameter_roles(model)
    ids = [id(parameter) for group in roles.values() for parameter in group]
    assert sorted(ids) == sorted(id(parameter) for parameter in model.parameters())
    expected = list(model.deformable_detr.pyramid.parameters())
    assert [id(p) for p in roles["pyramid"]] == [id(p) for p in expected]
    assert bool(expected) == (pyramid != "direct")
    assert len(roles["slow"]) == 2 * (1 + 1 + 2)  # references, one encoder layer, two decoder layers


@pytest.mark.parametrize("pyramid", ["convolution", "sgp", "transformer"])
def test_bfloat16_autocast_trains_and_stays_near_float32(pyramid: str) -> None:
    model = tiny(24, pyramid=pyramid, dropout=0.0)
    features, mask = torch.randn(2, 40, 24), torch.arange(40) >= torch.tensor([[40], [17]])
    exact = model(features, mask)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(features, mask)
    assert output.final.segments.dtype == torch.float32
    assert (output.final.segments - exact.final.segments).abs().max() < 0.05
    rough, full = (learns(model, found, [TARGET, TARGET]) for found in (output, exact))
    for name in ("salience_pyramid", "salience_encoder"):
        torch.testing.assert_close(rough[name], full[name], atol=0.01, rtol=0.05)


def test_saving_and_loading_keeps_every_number() -> None:
    model, other = restless(tiny()), tiny()
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)  # none is saved twice
    other.load_state_dict(state)
    features, mask = torch.randn(1, 9, 16), torch.zeros(1, 9, dtype=torch.bool)
    torch.testing.assert_close(other.eval()(features, mask).final.logits, model(features, mask).final.logits)
    for place, salience in model.salience(features, mask).items():
        torch.testing.assert_close(other.salience(features, mask)[place].logits, salience.logits)


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"input_dim=16.* 20 channels"):
        tiny()(torch.zeros(1, 4, 20), torch.zeros(1, 4, dtype=torch.bool))
