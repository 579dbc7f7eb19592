import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.dualdetr import DualDETRConfig
from models.dualdetr.decoder import Decoder, PositionEmbedding
from models.dualdetr.queries import MIN_WIDTH, Positions, Queries, inside, streams_of
from models.levels import Level, Tokens, flatten
from models.segments import to_centre_width
from tests.models.deformable_detr.test_model import restless

NAMES = ("start", "end", "instance")


def memory(dim: int = 32) -> Tokens:
    torch.manual_seed(0)
    mask = torch.arange(20) >= torch.tensor([[20], [13]])
    return flatten([Level(torch.randn(2, 20, dim), mask)])


def queries_for(config: DualDETRConfig) -> Queries:
    torch.manual_seed(1)
    segments = inside(torch.rand(2, config.num_queries, 2).sort(-1).values)
    contents = {
        stream.name: torch.randn(2, config.num_queries, stream.width, requires_grad=True)
        for stream in streams_of(config)
    }
    valid = torch.ones(2, config.num_queries, dtype=torch.bool)
    return Queries(contents, Positions(segments, to_centre_width(segments)), valid)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def logit(p: float) -> float:
    p = min(max(p, 1e-3), 1 - 1e-3)
    return math.log(p / (1 - p))


def clamped(start: float, end: float) -> tuple[float, float]:
    start, end = min(max(start, 0.0), 1.0), min(max(end, 0.0), 1.0)
    width, centre = max(end - start, MIN_WIDTH), (start + end) / 2
    centre = min(max(centre, width / 2), 1 - width / 2)
    return centre - width / 2, centre + width / 2


def written_out(
    start: float, end: float, moves: list[dict[str, list[float]]], order: str, late: bool
) -> list[tuple[float, float]]:
    """What each layer predicts for a query whose corrections are the numbers `moves`."""
    centre, width = (start + end) / 2, end - start
    predicted = []
    for move in moves:
        s, e = sigmoid(logit(start) + move["start"][0]), sigmoid(logit(end) + move["end"][0])
        c = sigmoid(logit(centre) + move["instance"][0])
        d = sigmoid(logit(width) + move["instance"][1])
        if order == "parallel":
            level = ((s + c - d / 2) / 2, (e + c + d / 2) / 2)
            other = ((c + (s + e) / 2) / 2, (d + e - s) / 2)
        elif order == "boundary_to_instance":
            level = ((s + c - d / 2) / 2, (e + c + d / 2) / 2)
            other = ((c + (level[0] + level[1]) / 2) / 2, (d + level[1] - level[0]) / 2)
        else:
            other = ((c + (s + e) / 2) / 2, (d + e - s) / 2)
            level = ((s + other[0] - other[1] / 2) / 2, (e + other[0] + other[1] / 2) / 2)
        ends = (other[0] - other[1] / 2, other[0] + other[1] / 2)
        predicted.append(ends if order == "boundary_to_instance" else level)
        if late:
            start, end, centre, width = s, e, c, d
        else:
            start, end = clamped(*level)
            low, high = clamped(*ends)
            centre, width = (low + high) / 2, high - low
    return predicted


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("order", ["parallel", "boundary_to_instance", "instance_to_boundary"])
def test_positions_follow_the_equations_layer_by_layer(order: str, late: bool) -> None:
    config = DualDETRConfig.tiny(
        decoder_layers=4, refinement=order, refine_at="last_layer" if late else "every_layer"
    )
    decoder, generator, moves = Decoder(config, 1), torch.Generator().manual_seed(2), []
    for layer in decoder.layers:
        move = {name: torch.randn(2 if name == "instance" else 1, generator=generator) for name in NAMES}
        for name, bias in move.items():
            layer.corrections[name].output.bias.data.copy_(bias)
        moves.append({name: bias.tolist() for name, bias in move.items()})
    queries = queries_for(config)
    predictions = decoder(queries, memory())
    assert len(predictions) == 4
    for sample in range(2):
        for query in range(config.num_queries):
            start, end = queries.positions.boundary[sample, query].tolist()
            expected = torch.tensor(written_out(start, end, moves, order, late))
            found = torch.stack([prediction.segments[sample, query] for prediction in predictions])
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("decoding", ["instance", "boundary", "combined", "two_branch"])
def test_a_fresh_decoder_repeats_where_the_queries_start(decoding: str) -> None:
    config = DualDETRConfig.tiny(decoding=decoding, decoder_layers=3)
    queries = queries_for(config)
    for prediction in Decoder(config, 1)(queries, memory()):
        torch.testing.assert_close(prediction.segments, queries.positions.boundary, atol=2e-3, rtol=0)


@pytest.mark.parametrize("refine_at", ["every_layer", "last_layer"])
def test_a_layers_loss_teaches_both_branches_of_this_layer_and_no_correction_before_it(
    refine_at: str,
) -> None:
    config = DualDETRConfig.tiny(decoder_layers=3, refine_at=refine_at)
    decoder = restless(Decoder(config, 1))
    queries = queries_for(config)
    predictions = decoder(queries, memory())
    (predictions[1].segments * torch.tensor([1.0, 2.0])).sum().backward()
    for index, layer in enumerate(decoder.layers):
        for name in NAMES:
            gradient = layer.corrections[name].output.weight.grad
            assert (gradient is not None and bool((gradient != 0).any())) == (index == 1), (index, name)
    # Contents, unlike positions, are not detached on their way.
    assert all(
        content.grad is not None and content.grad.abs().sum() > 0 for content in queries.contents.values()
    )
    assert decoder.embedding.networks["boundary"].output.weight.grad.abs().sum() > 0
    assert decoder.embedding.networks["instance"].output.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("changes", "sources"),
    [
        ({}, {"instance"}),
        ({"decoding": "boundary"}, {"start", "end"}),
        ({"refine_contents": True}, {"start", "end", "instance"}),
        ({"classes_from": "both"}, {"start", "end", "instance"}),
    ],
)
def test_classes_come_from_the_content_of_the_instance(changes: dict[str, Any], sources: set[str]) -> None:
    config = DualDETRConfig.tiny(decoder_layers=1, **changes)
    decoder, queries = restless(Decoder(config, 1)), queries_for(config)
    decoder(queries, memory())[0].logits.sum().backward()
    reached = {
        name
        for name, content in queries.contents.items()
        if content.grad is not None and content.grad.abs().sum() > 0
    }
    assert reached == sources


def test_looking_forward_twice_a_layers_loss_also_teaches_the_corrections_of_the_layer_before() -> None:
    config = DualDETRConfig.tiny(decoder_layers=4, look_forward_twice=True)
    decoder = restless(Decoder(config, 1))
    (decoder(queries_for(config), memory())[2].segments * torch.tensor([1.0, 2.0])).sum().backward()
    for index, layer in enumerate(decoder.layers):
        for name in NAMES:
            gradient = layer.corrections[name].output.weight.grad
            assert (gradient is not None and bool((gradient != 0).any())) == (index in (1, 2)), (index, name)


def test_looking_forward_twice_changes_no_prediction() -> None:
    config = DualDETRConfig.tiny(decoder_layers=3)
    queries, decoder = queries_for(config), restless(Decoder(config, 1))
    twice = Decoder(replace(config, look_forward_twice=True), 1)
    twice.load_state_dict(decoder.state_dict())
    for each in (decoder, twice):
        each.eval()  # without dropout
    for one, other in zip(decoder(queries, memory()), twice(queries, memory()), strict=True):
        torch.testing.assert_close(one.segments, other.segments, rtol=0, atol=0)
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=0)


@pytest.mark.parametrize(("branch_memory", "own"), [("share", True), ("all", False)])
@pytest.mark.parametrize("segment_pooling", [False, True])
def test_a_branch_reads_its_own_channels_or_all(branch_memory: str, own: bool, segment_pooling: bool) -> None:
    config = DualDETRConfig.tiny(
        branch_memory=branch_memory, segment_pooling=segment_pooling, decoder_layers=1
    )
    decoder, queries, tokens = restless(Decoder(config, 1)), queries_for(config), memory()
    tokens.features.requires_grad_()
    decoder(queries, tokens)[0].logits.sum().backward()  # classes are the instance branch's
    reached = tokens.features.grad.abs().sum(dim=(0, 1)) > 0
    assert reached[16:].all()
    assert reached[:16].any() != own


def changed(queries: Queries, rows: Tensor) -> Queries:
    """Other contents and positions in `rows [Q]`."""
    contents = {name: torch.where(rows[:, None], 7.0, content) for name, content in queries.contents.items()}
    boundary = torch.where(rows[:, None], 0.9, queries.positions.boundary)
    instance = torch.where(rows[:, None], 0.1, queries.positions.instance)
    return replace(queries, contents=contents, positions=Positions(boundary, instance))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"boundary_attention": "pairs"},
        {"boundary_attention": "separate"},
        {"decoding": "combined"},
        {"refine_contents": True},
        {"branch_memory": "all", "classes_from": "both"},
    ],
)
def test_queries_that_are_not_valid_change_nothing_for_the_others(changes: dict[str, Any]) -> None:
    config = DualDETRConfig.tiny(**changes)
    decoder, queries = restless(Decoder(config, 1)), queries_for(config)
    rows = torch.arange(config.num_queries) >= 5
    queries.valid[:] = ~rows
    first, second = decoder(queries, memory()), decoder(changed(queries, rows), memory())
    for left, right in zip(first, second, strict=True):
        torch.testing.assert_close(left.segments[:, :5], right.segments[:, :5])
        torch.testing.assert_close(left.logits[:, :5], right.logits[:, :5])
    queries.valid[:] = True
    seen = decoder(changed(queries, rows), memory())
    assert (seen[-1].logits[:, :5] - first[-1].logits[:, :5]).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("how", "aligned", "another"), [("joint", True, True), ("pairs", True, True), ("separate", False, False)]
)
def test_start_and_end_queries_see_each_other_or_not(how: str, aligned: bool, another: bool) -> None:
    """Whether a start query's content depends on the end query of its own index, and of another one."""
    config = DualDETRConfig.tiny(boundary_attention=how)
    decoder, queries = restless(Decoder(config, 1)), queries_for(config)
    layer = decoder.layers[0]
    tokens = {
        stream.name: flatten([Level(stream.channels(memory().features), memory().padding_mask)])
        for stream in decoder.streams
    }
    found, *_ = layer(queries, queries.positions, decoder.embedding(queries.positions), tokens)
    found["start"][0, 2].square().sum().backward()
    gradient = queries.contents["end"].grad
    reached = torch.zeros(8) if gradient is None else gradient[0].abs().sum(-1)
    assert (reached[2] > 0, reached[3] > 0) == (aligned, another)


@pytest.mark.parametrize(
    ("changes", "boundary", "instance"),
    [({}, 2, 4), ({"branch_heads": "all"}, 8, 8), ({"boundary_attention": "pairs"}, 4, 4)],
)
def test_a_branch_has_its_share_of_the_heads(changes: dict[str, Any], boundary: int, instance: int) -> None:
    layer = Decoder(DualDETRConfig.tiny(dim=64, num_heads=8, **changes), 1).layers[0]
    starts_and_ends, instances = layer.branches
    assert starts_and_ends.attention.attention.attention.num_heads == boundary
    assert instances.attention.attentions[0].attention.num_heads == instance
    readers = (*starts_and_ends.readers, *instances.readers)
    read = 8 if changes.get("branch_heads") == "all" else None
    assert [reader.read.attention.num_heads for reader in readers] == [read or 2, read or 2, read or 4]


def test_position_embeddings_follow_the_positions_and_are_one_network_for_start_and_end() -> None:
    torch.manual_seed(0)
    embedding = PositionEmbedding(DualDETRConfig.tiny(dim=64))
    boundary, instance = torch.rand(1, 6, 2), torch.rand(1, 6, 2)
    found = embedding(Positions(boundary, instance))
    assert {name: vectors.shape[-1] for name, vectors in found.items()} == {
        "start": 16,
        "end": 16,
        "instance": 32,
    }
    swapped = embedding(Positions(boundary.flip(-1), instance.flip(-1)))
    torch.testing.assert_close(swapped["start"], found["end"])
    assert (swapped["instance"] - found["instance"]).abs().max() > 1e-3
    assert (found["start"][0, 0] - found["start"][0, 1]).abs().max() > 1e-4
