import pytest
import torch
from torch import Tensor, nn

from models.criterion import SetCriterion
from models.deformable_detr import DeformableDETR, DeformableDETRConfig, DeformableDETRLossConfig
from models.detection import DetectorOutput, Target
from models.detectors import build_detector
from models.parameter_roles import parameter_roles


def restless(model: nn.Module) -> nn.Module:
    """Moved away from its initialisation, whose zeros would hide a dependence on the input."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def padded(features: Tensor, length: int, junk: float) -> tuple[Tensor, Tensor]:
    """`features [T, C]` in a batch of one with `length` tokens, the rest junk."""
    batch = torch.full((1, length, features.shape[1]), junk)
    batch[0, : len(features)] = features
    return batch, torch.arange(length)[None] >= len(features)


def assert_same(left: DetectorOutput, right: DetectorOutput) -> None:
    for a, b in zip(left.layers, right.layers, strict=True):
        torch.testing.assert_close(a.segments, b.segments, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(a.logits, b.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("input_dim", [16, 32])
@pytest.mark.parametrize("num_levels", [1, 4])
def test_a_sample_alone_and_padded_in_a_batch_give_the_same(num_levels: int, input_dim: int) -> None:
    """From one token (fewer than queries) to the whole batch, odd and even, whatever the padding holds."""
    torch.manual_seed(0)
    model = restless(build_detector(DeformableDETRConfig.tiny(num_levels=num_levels), input_dim, 1))
    samples = [torch.randn(length, input_dim) for length in (1, 2, 7, 12, 23)]
    rows = [
        padded(sample, 23, junk=float("nan") if index % 2 else 1e4) for index, sample in enumerate(samples)
    ]
    together = model(torch.cat([row for row, _ in rows]), torch.cat([mask for _, mask in rows]))
    for index, sample in enumerate(samples):
        alone = model(sample[None], torch.zeros(1, len(sample), dtype=torch.bool))
        part = DetectorOutput(
            layers=tuple(
                type(layer)(layer.segments[index, None], layer.logits[index, None], layer.valid[index, None])
                for layer in together.layers
            )
        )
        assert_same(alone, part)
        assert alone.final.segments.shape == (1, 8, 2)
        assert alone.final.valid.all()


def test_the_output_does_depend_on_the_input_and_on_its_order() -> None:
    torch.manual_seed(0)
    model = restless(build_detector(DeformableDETRConfig.tiny(), 16, 1))
    features, mask = torch.randn(1, 20, 16), torch.zeros(1, 20, dtype=torch.bool)
    first, reverse = model(features, mask), model(features.flip(1), mask)
    assert (first.final.segments - reverse.final.segments).abs().max() > 1e-2


def test_a_sample_of_padding_only_has_no_valid_proposal_and_harms_no_other() -> None:
    model = restless(build_detector(DeformableDETRConfig.tiny(num_levels=4), 16, 1))
    features = torch.randn(2, 9, 16)
    mask = torch.tensor([[False] * 9, [True] * 9])
    output = model(features, mask)
    assert output.final.valid.tolist() == [[True] * 8, [False] * 8]
    assert output.final.segments.isfinite().all()
    losses = SetCriterion(DeformableDETRLossConfig())(
        output, [Target(torch.tensor([[0.1, 0.3]]), torch.tensor([0]))] * 2
    )
    losses["total"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_junk_in_padding_does_not_reach_gradients() -> None:
    model = build_detector(DeformableDETRConfig.tiny(), 16, 1)
    features, mask = padded(torch.randn(5, 16), 9, junk=float("nan"))
    output = model(features, mask)
    SetCriterion(DeformableDETRLossConfig())(output, [Target(torch.tensor([[0.1, 0.3]]), torch.tensor([0]))])[
        "total"
    ].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_fresh_model_predicts_rare_classes_and_short_segments_at_its_references() -> None:
    model = build_detector(DeformableDETRConfig.tiny(), 16, 5).eval()
    with torch.no_grad():
        for head in model.decoder.heads:
            head.classes.weight.zero_()
        output = model(torch.randn(2, 30, 16), torch.zeros(2, 30, dtype=torch.bool))
        centre = model.decoder.reference_points(model.decoder.position).sigmoid()[:, 0]
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(torch.randn(2, 30, 16), torch.zeros(2, 30, dtype=torch.bool))
    torch.testing.assert_close(rough.final.segments, output.final.segments, atol=1e-5, rtol=1e-5)
    for layer in output.layers:
        torch.testing.assert_close(layer.logits.sigmoid(), torch.full((2, 8, 5), 0.01))
        torch.testing.assert_close(layer.segments.mean(-1), centre.expand(2, -1), atol=1e-5, rtol=1e-5)
        width = layer.segments[..., 1] - layer.segments[..., 0]
        torch.testing.assert_close(width, torch.full((2, 8), 0.1192029), atol=1e-5, rtol=1e-5)  # sigmoid(-2)


def test_refinement_starts_each_layer_from_the_boxes_before_without_a_gradient_through_them() -> None:
    model = restless(build_detector(DeformableDETRConfig.tiny(decoder_layers=3), 16, 1))
    output = model(torch.randn(1, 30, 16), torch.zeros(1, 30, dtype=torch.bool))
    output.layers[2].segments.sum().backward()
    boxes = [head.box.output.weight.grad for head in model.decoder.heads]
    assert boxes[0] is None
    assert boxes[1] is None
    assert boxes[2].abs().max() > 0
    with torch.no_grad():
        model.decoder.heads[2].box.output.weight.zero_()
        model.decoder.heads[2].box.output.bias.zero_()
        output = model(torch.randn(1, 30, 16), torch.zeros(1, 30, dtype=torch.bool))
    # The last head now corrects nothing: it hands on what the second layer found.
    torch.testing.assert_close(output.layers[2].segments, output.layers[1].segments, atol=1e-4, rtol=1e-4)


def test_without_refinement_every_layer_starts_from_the_queries_own_centres() -> None:
    model = restless(build_detector(DeformableDETRConfig.tiny(refine=False), 16, 1))
    with torch.no_grad():
        model.decoder.heads[1].box.output.weight.zero_()
        model.decoder.heads[1].box.output.bias.zero_()
        output = model(torch.randn(1, 30, 16), torch.zeros(1, 30, dtype=torch.bool))
        centre = model.decoder.reference_points(model.decoder.position).sigmoid()[:, 0]
    torch.testing.assert_close(output.final.segments.mean(-1)[0], centre, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_levels", [1, 3])
def test_bfloat16_autocast_trains_and_stays_near_float32(num_levels: int) -> None:
    torch.manual_seed(0)
    model = restless(build_detector(DeformableDETRConfig.tiny(num_levels=num_levels), 24, 1))
    features, mask = torch.randn(2, 40, 24), torch.arange(40) >= torch.tensor([[40], [17]])
    targets = [Target(torch.tensor([[0.1, 0.3]]), torch.tensor([0]))] * 2
    exact = model(features, mask)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(features, mask)
    assert output.final.segments.dtype == torch.float32
    assert (output.layers[0].segments - exact.layers[0].segments).abs().max() < 0.05
    SetCriterion(DeformableDETRLossConfig())(output, targets)["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_parameter_count_is_that_of_the_published_model_around_its_pyramid() -> None:
    """43,674,641 in all, less the four blocks of its pyramid and its salience head."""
    model = DeformableDETR(DeformableDETRConfig(num_levels=4), 512, 1)
    assert sum(p.numel() for p in model.parameters()) == 43_674_641 - 4 * 3_155_456 - 1_049_601


def test_parameter_roles_split_the_parameters_once() -> None:
    model = build_detector(DeformableDETRConfig.tiny(), 16, 1)
    roles = parameter_roles(model)
    assert set(roles) == {"default", "slow", "pyramid"}
    assert roles["pyramid"] == []  # direct downsampling has no parameters
    ids = [id(parameter) for group in roles.values() for parameter in group]
    assert sorted(ids) == sorted(id(parameter) for parameter in model.parameters())
    slow = {id(parameter) for parameter in roles["slow"]}
    assert id(model.decoder.reference_points.weight) in slow
    assert id(model.encoder.layers[0].read.attention.sampling_offsets.bias) in slow
    assert len(slow) == 2 * (1 + 1 + 2)  # weight and bias: references, one encoder layer, two decoder layers
    model.encoder.requires_grad_(False)
    assert len(parameter_roles(model)["slow"]) == 2 * (1 + 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_queries": 0}, "num_queries=0"),
        ({"num_levels": -1}, "num_levels=-1"),
        ({"num_heads": 5}, "num_heads=5 must divide dim=32"),
        ({"dim": 33, "num_heads": 3}, "dim=33"),
        ({"dropout": 1.0}, r"dropout=1\.0"),
        ({"class_prior": 0.0}, r"class_prior=0\.0"),
    ],
)
def test_impossible_settings_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeformableDETRConfig.tiny(**changes)


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"input_dim=16.* 20 channels"):
        build_detector(DeformableDETRConfig.tiny(), 16, 1)(
            torch.zeros(1, 4, 20), torch.zeros(1, 4, dtype=torch.bool)
        )
