"""I3D against an independent forward written from the published layout, straight from a state dict."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.backbones.i3d import I3D
from models.backbones.two_stream import TwoStreamI3D

# (name, in, out, kernel): every convolution of the published network, as its checkpoints name them.
MIXED = {
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}


def public_checkpoint(in_channels: int, num_classes: int = 400, seed: int = 0) -> dict[str, Tensor]:
    """A state dict in the layout of `rgb_imagenet.pt`, with numbers that keep activations of order one."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def unit(name: str, inputs: int, outputs: int, kernel: int) -> None:
        shape = (outputs, inputs, kernel, kernel, kernel)
        scale = (2 / (inputs * kernel**3)) ** 0.5
        state[f"{name}.conv3d.weight"] = torch.randn(shape, generator=generator) * scale
        state[f"{name}.bn.weight"] = torch.rand(outputs, generator=generator) + 0.5
        state[f"{name}.bn.bias"] = torch.randn(outputs, generator=generator) * 0.1
        state[f"{name}.bn.running_mean"] = torch.randn(outputs, generator=generator) * 0.1
        state[f"{name}.bn.running_var"] = torch.rand(outputs, generator=generator) + 0.5

    unit("Conv3d_1a_7x7", in_channels, 64, 7)
    unit("Conv3d_2b_1x1", 64, 64, 1)
    unit("Conv3d_2c_3x3", 64, 192, 3)
    for name, (dim, b0, b1a, b1b, b2a, b2b, b3b) in MIXED.items():
        unit(f"Mixed_{name}.b0", dim, b0, 1)
        unit(f"Mixed_{name}.b1a", dim, b1a, 1)
        unit(f"Mixed_{name}.b1b", b1a, b1b, 3)
        unit(f"Mixed_{name}.b2a", dim, b2a, 1)
        unit(f"Mixed_{name}.b2b", b2a, b2b, 3)
        unit(f"Mixed_{name}.b3b", dim, b3b, 1)
    state["logits.conv3d.weight"] = torch.randn((num_classes, 1024, 1, 1, 1), generator=generator) * 0.03
    state["logits.conv3d.bias"] = torch.randn(num_classes, generator=generator)
    return state


def reference_forward(state: dict[str, Tensor], clips: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits by the published recipe, in float64."""
    state = {name: value.double() for name, value in state.items()}

    def pad(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        sides: list[int] = []
        for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
            out = -(-size // s)
            total = max((out - 1) * s + k - size, 0)  # TensorFlow's own definition of SAME
            sides += [total // 2, total - total // 2]
        return F.pad(x, sides)

    def unit(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{name}.conv3d.weight"]
        x = F.conv3d(pad(x, tuple(weight.shape[2:]), (stride,) * 3), weight, stride=stride)
        mean, var, gamma, beta = (
            state[f"{name}.bn.{part}"].view(1, -1, 1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (gamma * (x - mean) / torch.sqrt(var + 1e-3) + beta).clamp(min=0)

    def pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
        return F.max_pool3d(pad(x, kernel, stride), kernel, stride)

    def mixed(name: str, x: Tensor) -> Tensor:
        return torch.cat(
            [
                unit(f"{name}.b0", x),
                unit(f"{name}.b1b", unit(f"{name}.b1a", x)),
                unit(f"{name}.b2b", unit(f"{name}.b2a", x)),
                unit(f"{name}.b3b", pool(x, (3, 3, 3), (1, 1, 1))),
            ],
            1,
        )

    x = unit("Conv3d_1a_7x7", clips.double(), stride=2)
    x = pool(x, (1, 3, 3), (1, 2, 2))
    x = unit("Conv3d_2c_3x3", unit("Conv3d_2b_1x1", x))
    x = pool(x, (1, 3, 3), (1, 2, 2))
    x = mixed("Mixed_3c", mixed("Mixed_3b", x))
    x = pool(x, (3, 3, 3), (2, 2, 2))
    for letter in "bcdef":
        x = mixed(f"Mixed_4{letter}", x)
    x = pool(x, (2, 2, 2), (2, 2, 2))
    x = mixed("Mixed_5c", mixed("Mixed_5b", x))
    features = x.flatten(2).mean(2)
    weight = state["logits.conv3d.weight"][:, :, 0, 0, 0]
    return features, features @ weight.T + state["logits.conv3d.bias"]


def network(state: dict[str, Tensor]) -> I3D:
    inputs, classes = state["Conv3d_1a_7x7.conv3d.weight"].shape[1], len(state["logits.conv3d.bias"])
    i3d = I3D(inputs, classes)
    i3d.load_state_dict(state)
    return i3d.eval()


# Sides and lengths whose halves are odd at different depths: each pads differently somewhere.
@pytest.mark.parametrize(
    ("channels", "frames", "height", "width"), [(3, 16, 64, 64), (2, 13, 50, 37), (2, 1, 33, 32)]
)
def test_equals_an_independent_forward(channels: int, frames: int, height: int, width: int) -> None:
    state = public_checkpoint(channels)
    clips = torch.rand(2, channels, frames, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    expected = reference_forward(state, clips)
    i3d = network(state)
    with torch.inference_mode():
        ours = i3d.features(clips)
        for single, reference in zip((ours, i3d.classify(ours)), expected, strict=True):
            assert (single - reference).abs().max() < 1e-5 * reference.abs().max()
        ours = i3d.double().features(clips.double())
        for double, reference in zip((ours, i3d.classify(ours)), expected, strict=True):
            torch.testing.assert_close(double, reference, rtol=1e-10, atol=1e-10)
    assert expected[0].std() > 0.05  # there is something to compare


def test_the_published_input_gives_the_published_pool() -> None:
    state = public_checkpoint(3, num_classes=7)
    clip = torch.rand(1, 3, 16, 224, 224, generator=torch.Generator().manual_seed(2)) * 2 - 1
    i3d, seen = network(state), []
    i3d.Mixed_5c.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        features = i3d(clip)
    assert seen[0].shape == (1, 1024, 2, 7, 7)
    published = F.avg_pool3d(seen[0], (2, 7, 7), stride=1)
    torch.testing.assert_close(features, published[:, :, 0, 0, 0])


def test_the_public_layout_loads_with_no_missing_or_unexpected_key() -> None:
    for channels in (3, 2):
        state = public_checkpoint(channels, num_classes=157)
        missing, unexpected = I3D(channels, 157).load_state_dict(state, strict=False)
        assert (missing, unexpected) == ([], [])
        again = network(state).state_dict()
        assert {name for name in again if not name.endswith("num_batches_tracked")} == state.keys()
        assert all(torch.equal(again[name], value) for name, value in state.items())


def test_two_streams_stand_side_by_side_and_scale_as_published() -> None:
    rgb, flow = network(public_checkpoint(3, 2)), network(public_checkpoint(2, 2, seed=5))
    generator = torch.Generator().manual_seed(3)
    pictures = torch.randint(0, 256, (2, 9, 32, 32, 3), generator=generator, dtype=torch.uint8)
    fields = torch.randint(0, 256, (2, 9, 32, 32, 2), generator=generator, dtype=torch.uint8)
    with torch.inference_mode():
        both = TwoStreamI3D(rgb, flow).eval()(pictures, fields)
        expected = [
            net((2 * values.double() / 255 - 1).float().permute(0, 4, 1, 2, 3))
            for net, values in ((rgb, pictures), (flow, fields))
        ]
        torch.testing.assert_close(both, torch.cat(expected, 1), rtol=1e-4, atol=1e-5)
        scaled = (2 * fields.double() / 255 - 1).float()
        alone = TwoStreamI3D(None, flow).eval()
        torch.testing.assert_close(alone(scaled), both[:, 1024:], rtol=1e-4, atol=1e-5)
    assert (both.shape, alone.dim) == ((2, 2048), 1024)
