import pytest
import torch
from torch import Tensor

from models.dualdetr import DualDETRConfig
from models.dualdetr.branch import BranchLayer
from models.dualdetr.queries import Positions, branches_of, streams_of
from models.levels import Level, flatten

DIM = 32


def test_the_channels_are_parted_start_end_instance() -> None:
    features = torch.arange(DIM)[None]
    parts = {stream.name: stream.channels(features)[0] for stream in streams_of(DualDETRConfig.tiny(dim=DIM))}
    assert list(parts) == ["start", "end", "instance"]
    assert [len(part) for part in parts.values()] == [DIM // 4, DIM // 4, DIM // 2]
    assert torch.cat(list(parts.values())).tolist() == list(range(DIM))


@pytest.mark.parametrize("decoding", ["instance", "boundary", "combined"])
def test_a_single_branch_reads_all_channels(decoding: str) -> None:
    (branch,) = branches_of(DualDETRConfig.tiny(dim=DIM, decoding=decoding))
    assert all(stream.channels(torch.zeros(1, DIM)).shape == (1, DIM) for stream in branch)


def read_channels(config: DualDETRConfig) -> dict[str, list[int]]:
    """For each stream the channels of the memory that its new contents depend on after one layer."""
    torch.manual_seed(0)
    memory = flatten([Level(torch.randn(1, 12, DIM, requires_grad=True), torch.zeros(1, 12).bool())])
    queries = 5
    positions = Positions(torch.rand(1, queries, 2), torch.rand(1, queries, 2))
    channels = {}
    for branch in branches_of(config):
        layer = BranchLayer(branch, config)
        contents = {stream.name: torch.randn(1, queries, stream.width) for stream in branch}
        tokens = {
            stream.name: flatten([Level(stream.channels(memory.features), memory.padding_mask)])
            for stream in branch
        }
        found = layer(contents, contents, positions, tokens, torch.zeros(1, queries).bool())
        for name, content in found.items():
            # Squared: the sum of what a norm gives out never changes.
            (gradient,) = torch.autograd.grad(content.square().sum(), memory.features, retain_graph=True)
            channels[name] = touched(gradient)
    return channels


def touched(gradient: Tensor) -> list[int]:
    return gradient.abs().sum(dim=(0, 1)).nonzero()[:, 0].tolist()


def test_each_level_reads_the_features_of_its_own() -> None:
    read = read_channels(DualDETRConfig.tiny(dim=DIM))
    assert read == {
        "start": list(range(0, 8)),
        "end": list(range(8, 16)),
        "instance": list(range(16, 32)),
    }


def test_simply_combined_they_all_read_the_same() -> None:
    read = read_channels(DualDETRConfig.tiny(dim=DIM, decoding="combined"))
    assert list(read.values()) == [list(range(DIM))] * 3
