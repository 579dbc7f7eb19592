"""Forward passes of one fixed shape: what comes out for an item does not depend on the items around it."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.backbones.i3d import I3D
from models.backbones.pixels import PixelEncoder
from models.backbones.two_stream import TwoStreamI3D
from pipeline.features.batches import FixedBatches

CPU = torch.device("cpu")


class Recorder(nn.Module):
    """The mean over everything but the batch; remembers the shapes that it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, *streams: Tensor) -> Tensor:
        self.shapes += [tuple(stream.shape) for stream in streams]
        return torch.stack([stream.float().flatten(1).mean(1) for stream in streams], dim=1)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (23, 32, 32, 3), dtype=np.uint8)


def test_items_are_gathered_across_runs_in_batches_of_one_shape(frames: np.ndarray) -> None:
    network = Recorder()
    batches = FixedBatches(network, 4, CPU)
    runs, members = (
        [frames[:9], frames[9:]],
        [np.array([[0, 1], [7, 8]]), np.array([[0, 0], [12, 13], [3, 1]])],
    )
    flow = [run[..., :2].astype(np.float16) for run in runs]
    outputs = batches([runs, flow], members)
    assert [output.shape for output in outputs] == [(2, 2), (3, 2)]
    assert network.shapes == [(4, 2, 32, 32, 3), (4, 2, 32, 32, 2)] * 2
    for run, fields, index, output in zip(runs, flow, members, outputs, strict=True):
        expected = [[run[clip].mean(), fields[clip].astype(np.float64).mean()] for clip in index]
        np.testing.assert_allclose(output, expected, rtol=1e-5)
    assert batches([[], []], []) == []


def test_a_clip_does_not_depend_on_its_company(frames: np.ndarray) -> None:
    torch.manual_seed(0)
    encode = FixedBatches(TwoStreamI3D(I3D(), None).eval(), 3, CPU)
    clips = np.arange(8) + np.array([0, 4, 8, 15])[:, None]
    (together,) = encode([[frames]], [clips])
    cut = np.concatenate(encode([[frames, frames[8:]]], [clips[:2], clips[2:] - 8]))
    alone = np.concatenate([encode([[frames]], [clip[None]])[0] for clip in clips])
    assert (together == cut).all()
    assert (together == alone).all()


def test_bf16_is_close_and_a_compiled_network_is_the_same_function(
    frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = PixelEncoder(nn.Sequential(nn.Flatten(), nn.Linear(32 * 32 * 3, 8)), [0.5], [0.5]).eval()
    items = [np.arange(5)]
    (plain,) = FixedBatches(network, 4, CPU)([[frames]], items)
    (bf16,) = FixedBatches(network, 4, CPU, bf16=True)([[frames]], items)
    # Traced, but without the minute that a C++ compiler takes.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))
    (compiled,) = FixedBatches(network, 4, CPU, compiled=True)([[frames]], items)
    np.testing.assert_allclose(bf16, plain, atol=0.02)
    assert (bf16 != plain).any()
    np.testing.assert_allclose(compiled, plain, atol=1e-5)
