import pytest
import torch

from models.levels import Level
from models.parameter_roles import decaying_weights
from models.points.layers import SkippedBranch
from models.pyramids.sgp import SGPBlock
from models.tridet import TriDet, TriDetConfig
from tests.models.deformable_detr.test_model import restless


@pytest.mark.parametrize(
    ("changes", "num_classes", "input_dim", "published"),
    [
        ({}, 20, 2048, 15_989_604),
        ({}, 65, 2048, 16_197_099),
        ({}, 65, 1024, 14_624_235),
        ({}, 1, 512, 13_542_699),
        ({"regression_per_class": True}, 65, 2048, 19_541_611),
        ({"regression_per_class": True}, 157, 1024, 23_200_695),
        ({"regression_per_class": True, "head_layers": 3, "sgp_wide_factor": 1.5}, 65, 1408, 21_679_723),
    ],
)
def test_parameter_counts_are_the_released_codes(
    changes: dict, num_classes: int, input_dim: int, published: int
) -> None:
    model = TriDet(TriDetConfig(**changes), input_dim, num_classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == published


def test_weights_of_linear_layers_and_convolutions_decay() -> None:
    model = TriDet(TriDetConfig(), 2048, 20)
    decaying = decaying_weights(model)
    assert (len(decaying), sum(one.numel() for one in decaying)) == (63, 15_926_784)
    assert sum(one.numel() for one in model.parameters() if one not in decaying) == 62_820


def published_init(init_std: float) -> TriDet:
    torch.manual_seed(0)
    return TriDet(TriDetConfig.tiny(sgp_init_std=init_std), 16, 3)


def sgp_convolutions(model: TriDet) -> list[torch.nn.Parameter]:
    names = ("fc", "gate", "modulation", "narrow", "wide")
    return [
        parameter
        for block in model.trunk.pyramid.modules()
        if isinstance(block, SGPBlock)
        for name in names
        for parameter in getattr(block, name).parameters()
    ]


@pytest.mark.parametrize("init_std", [0.0, 0.1])
def test_at_the_published_start_the_convolutions_of_sgp_never_learn(init_std: float) -> None:
    model = published_init(init_std)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        output = model(torch.randn(1, 40, 16), torch.zeros(1, 40, dtype=torch.bool))
        (output.points.logits.square().sum() + output.points.distances.sum()).backward()
        optimizer.step()
    moved = [one for one in sgp_convolutions(model) if one.abs().max() > 0]
    assert bool(moved) == (init_std > 0)


def test_a_block_of_zeros_adds_the_normalised_input_and_a_perceptron() -> None:
    torch.manual_seed(0)
    block = SGPBlock(
        32, 1, 48, None, wide_factor=5.0, init_std=0.0, branch=lambda: SkippedBranch(32, 0.3, 0.1)
    ).eval()
    features = torch.randn(1, 20, 32)
    found = block(Level(features, torch.zeros(1, 20, dtype=torch.bool))).features
    x = features + 0.3 * torch.nn.functional.layer_norm(features, (32,))
    normed = torch.nn.functional.group_norm(x.mT, 16).mT
    torch.testing.assert_close(found, x + 0.3 * block.feed_forward(normed), atol=1e-5, rtol=1e-5)
    assert block.wide.kernel_size == (11,)


def test_starts_and_ends_do_not_shape_the_pyramid() -> None:
    model = restless(published_init(0.1))
    output = model(torch.randn(1, 40, 16), torch.zeros(1, 40, dtype=torch.bool))
    for parameter in model.centre.parameters():
        parameter.requires_grad_(False)
    # Without the centre's part, distances are of starts and ends alone.
    model.centre.output.weight.data.zero_()
    model.centre.output.bias.data.zero_()
    output = model(torch.randn(1, 40, 16), torch.zeros(1, 40, dtype=torch.bool))
    output.points.distances.square().sum().backward()
    assert all(
        parameter.grad is None or parameter.grad.abs().max() == 0 for parameter in model.trunk.parameters()
    )
    assert model.starts.output.weight.grad.abs().max() > 0


def test_noise_on_features_is_of_training_alone() -> None:
    model = published_init(0.1)
    features, mask = torch.randn(1, 40, 16), torch.zeros(1, 40, dtype=torch.bool)
    model.train()
    assert not torch.equal(model(features, mask).final.logits, model(features, mask).final.logits)
    model.eval()
    assert torch.equal(model(features, mask).final.logits, model(features, mask).final.logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"sgp_kernel": 2}, "sgp_kernel=2 must be odd"), ({"dim": 20}, "dim=20 must be a multiple of 16"),
     ({"input_noise": -1.0}, "input_noise=-1")],
)  # fmt: skip
def test_impossible_settings_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TriDetConfig.tiny(**changes)
