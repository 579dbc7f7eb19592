import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.actionformer import ActionFormer, ActionFormerConfig
from models.actionformer.block import ActionFormerBlock, ConvolvedAttention
from models.levels import Level
from models.parameter_roles import decaying_weights, parameter_roles
from tests.models.deformable_detr.test_model import restless

OPENTAD = {"embedding_layers": 3, "stem_blocks": 0}


def made(num_classes: int, input_dim: int, **changes: object) -> ActionFormer:
    return ActionFormer(ActionFormerConfig(**changes), input_dim, num_classes)


@pytest.mark.parametrize(
    ("changes", "num_classes", "input_dim", "published"),
    [
        ({}, 20, 2048, 29_251_612),
        ({}, 65, 2048, 29_320_777),
        ({}, 65, 1024, 27_747_913),
        ({}, 1, 512, 26_863_113),
        (OPENTAD, 65, 1024, 22_213_193),
        (OPENTAD, 65, 2048, 23_786_057),
    ],
)
def test_parameter_counts_are_the_released_codes(
    changes: dict, num_classes: int, input_dim: int, published: int
) -> None:
    model = made(num_classes, input_dim, **changes)
    assert sum(parameter.numel() for parameter in model.parameters()) == published


def test_weights_of_linear_layers_and_convolutions_decay() -> None:
    model = made(20, 2048)
    decaying = decaying_weights(model)
    assert (len(decaying), sum(one.numel() for one in decaying)) == (71, 29_164_032)
    every = [parameter for held in parameter_roles(model).values() for parameter in held]
    assert sum(one.numel() for one in every if one not in decaying) == 87_580


def dense(attention: ConvolvedAttention, features: Tensor, stride: int) -> Tensor:
    """The attention of one sample as a dense softmax under a band of the window."""
    query, key, value = (
        projection(norm(F.conv1d(features.mT, c.weight, stride=stride, padding=1, groups=len(c.weight)).mT))
        .unflatten(-1, (attention.num_heads, -1))
        .transpose(1, 2)
        for c, norm, projection in (
            (attention.query_convolution, attention.query_norm, attention.query),
            (attention.key_convolution, attention.key_norm, attention.key),
            (attention.value_convolution, attention.value_norm, attention.value),
        )
    )
    place = torch.arange(query.shape[2])
    beyond = (place - place[:, None]).abs() > attention.window // 2
    weights = query @ key.mT / query.shape[-1] ** 0.5
    attended = weights.masked_fill(beyond, -torch.inf).softmax(-1) @ value
    return attention.output(attended.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("stride", [1, 2])
def test_attention_is_a_dense_softmax_under_a_band(stride: int) -> None:
    torch.manual_seed(0)
    attention = restless(ConvolvedAttention(32, 4, 19, stride))
    features = torch.randn(1, 101, 32)
    mask = torch.zeros(1, 101, dtype=torch.bool)
    found = attention(Level(features, mask), mask[:, ::stride])
    torch.testing.assert_close(found, dense(attention, features, stride), atol=1e-5, rtol=1e-5)


def test_a_block_whose_branches_count_nothing_is_its_skip() -> None:
    level = Level(torch.randn(1, 9, 32), torch.zeros(1, 9, dtype=torch.bool))
    for stride in (1, 2):
        block = ActionFormerBlock(
            dim=32, num_heads=4, ffn_dim=64, window=5, stride=stride, layer_scale=0.0, drop_path=0.1
        ).eval()
        expected = level.features if stride == 1 else F.max_pool1d(level.features.mT, 3, 2, 1).mT
        torch.testing.assert_close(block(level).features, expected)


def test_a_branch_is_skipped_by_samples_and_never_at_inference() -> None:
    torch.manual_seed(0)
    block = ActionFormerBlock(
        dim=32, num_heads=4, ffn_dim=64, window=5, stride=1, layer_scale=1.0, drop_path=0.5
    )
    level = Level(torch.randn(1, 9, 32).expand(64, -1, -1), torch.zeros(64, 9, dtype=torch.bool))
    kinds = len({round(float(one), 3) for one in block(level).features.sum(dim=(1, 2))})
    assert 2 < kinds <= 4  # of two branches each is there or not
    block.eval()
    assert len({round(float(one), 3) for one in block(level).features.sum(dim=(1, 2))}) == 1


def test_levels_and_shapes() -> None:
    model = made(20, 24, dim=64, ffn_dim=64).eval()
    output = model(torch.randn(1, 2304, 24), torch.zeros(1, 2304, dtype=torch.bool))
    assert output.points.lengths == (2304, 1152, 576, 288, 144, 72)
    assert output.points.logits.shape == (1, 4536, 20)
    assert output.points.distances.shape == (1, 4536, 2)


def test_temporalmaxer_has_no_parameters_between_levels() -> None:
    plain = made(20, 1024, pyramid="max_pool", stem_blocks=0)
    names = [name for name, _ in plain.trunk.pyramid.named_parameters()]
    assert names
    assert all(name.startswith("stem.") for name in names)  # the embedding
    with pytest.raises(ValueError, match="window=9 needs pyramid='transformer'"):
        ActionFormerConfig(pyramid="max_pool", stem_blocks=0, window=9)


def test_impossible_settings_are_named() -> None:
    with pytest.raises(ValueError, match="window=4 must be odd"):
        ActionFormerConfig.tiny(window=4)
    with pytest.raises(ValueError, match="num_heads=5 must divide dim=32"):
        ActionFormerConfig.tiny(num_heads=5)


def test_features_of_another_width_are_refused() -> None:
    model = ActionFormer(ActionFormerConfig.tiny(), 16, 1)
    with pytest.raises(ValueError, match=r"input_dim=16.* 20 channels"):
        model(torch.zeros(1, 4, 20), torch.zeros(1, 4, dtype=torch.bool))
