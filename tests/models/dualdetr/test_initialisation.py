import pytest
import torch

from models.criterion import SetCriterion
from models.detection import Target
from models.dualdetr import DualDETR, DualDETRConfig
from models.dualdetr.initialisation import AlignedStart, LearntStart, Proposals, time_slots
from models.dualdetr.queries import inside
from models.levels import Level, Tokens, flatten
from models.segments import to_centre_width
from tests.models.deformable_detr.test_model import restless
from tests.models.dualdetr.cases import LOSS


def memory(batch: int = 2, length: int = 20, dim: int = 32, seed: int = 0) -> Tokens:
    torch.manual_seed(seed)
    return flatten([Level(torch.randn(batch, length, dim), torch.zeros(batch, length).bool())])


def aligned(**changes: object) -> AlignedStart:
    torch.manual_seed(1)
    start = AlignedStart(DualDETRConfig.tiny(**changes), 3)
    restless(start)
    return start


def test_positions_and_contents_of_all_three_queries_are_those_of_the_selected_proposal() -> None:
    start, encoded = aligned(), memory()
    queries, dense = start(encoded)
    tokens = start.proposals.transform(encoded.features)
    assert queries.valid.all()
    for sample in range(2):
        order = sorted(range(20), key=lambda token: -max(dense.logits[sample, token].tolist()))[:8]
        for query, token in enumerate(order):
            begin, end = dense.segments[sample, token].clamp(0, 1).tolist()
            place = {
                "start": torch.tensor([begin]),
                "end": torch.tensor([end]),
                "instance": torch.tensor([(begin + end) / 2, end - begin]),
            }
            content = {
                "start": tokens[sample, token, :8],
                "end": tokens[sample, token, 8:16],
                "instance": tokens[sample, token, 16:],
            }
            for name in ("start", "end", "instance"):
                torch.testing.assert_close(
                    queries.positions.of(name)[sample, query], place[name], atol=1e-6, rtol=0
                )
                torch.testing.assert_close(queries.contents[name][sample, query], content[name])


def test_slots_tell_queries_their_proposals_place_in_the_order_of_time() -> None:
    """Spread over all slots where a sample has fewer proposals; invalid ones change no other's."""
    segments = torch.tensor(
        [[[0.6, 0.8], [0.1, 0.2], [0.0, 0.9], [0.0, 0.0]], [[0.5, 0.6], [0.3, 0.4], [0.9, 1], [0, 0.1]]]
    )
    valid = torch.tensor([[True, True, True, False], [True] * 4])
    found = time_slots(Proposals(segments, torch.zeros(2, 4, 8), valid), 4)
    assert found[0, :3].tolist() == [2, 0, 1]
    assert found[1].tolist() == [2, 1, 3, 0]
    few = torch.tensor([[True, True, False, False], [False] * 4])
    assert time_slots(Proposals(segments, torch.zeros(2, 4, 8), few), 4)[0, :2].tolist() == [2, 0]


def test_a_slots_vector_joins_the_content_and_learns() -> None:
    plain, start = aligned(), aligned(time_slots=True)
    start.load_state_dict(plain.state_dict(), strict=False)
    before, after = plain(memory())[0], start(memory())[0]
    slots = time_slots(start.proposals(memory())[0], 8)
    added = torch.cat(
        [after.contents[name] - before.contents[name] for name in ("start", "end", "instance")], -1
    )
    torch.testing.assert_close(added, start.contents.slots[slots])
    sum(content.square().sum() for content in after.contents.values()).backward()
    assert (start.contents.slots.grad.abs().sum(-1) > 0).all()


def test_one_branch_starts_from_the_whole_token() -> None:
    start, encoded = aligned(decoding="combined"), memory()
    queries, _ = start(encoded)
    assert {name: content.shape for name, content in queries.contents.items()} == dict.fromkeys(
        ("start", "end", "instance"), (2, 8, 32)
    )
    torch.testing.assert_close(queries.contents["start"], queries.contents["instance"])


def test_contents_made_of_positions_know_nothing_of_the_features() -> None:
    start = aligned(initialisation="full_position")
    # The same boxes everywhere: what is left is the tokens' places, and all six of them are taken.
    torch.nn.init.zeros_(start.proposals.head.box.output.weight)
    first, _ = start(memory(length=6, seed=0))
    second, _ = start(memory(length=6, seed=5))
    for name in ("start", "end", "instance"):
        for sample in range(2):
            order = first.positions.boundary[sample, :6, 0].argsort()
            other = second.positions.boundary[sample, :6, 0].argsort()
            torch.testing.assert_close(
                first.contents[name][sample, order], second.contents[name][sample, other], atol=1e-5, rtol=0
            )
            assert (
                first.contents[name][sample, order[0]] - first.contents[name][sample, order[5]]
            ).abs().max() > 0.1


def test_learnt_contents_are_the_same_for_every_sample_and_the_positions_are_the_proposals() -> None:
    start = aligned(initialisation="position")
    queries, dense = start(memory())
    for content in queries.contents.values():
        torch.testing.assert_close(content[0], content[1])
        assert (content[0, 0] - content[0, 1]).abs().max() > 0.1
    best = dense.logits.amax(-1).argmax(dim=1)
    expected = inside(dense.segments[torch.arange(2), best])
    torch.testing.assert_close(queries.positions.boundary[:, 0], expected)


def test_learnt_queries_start_at_places_of_their_own_in_either_level() -> None:
    torch.manual_seed(0)
    config = DualDETRConfig.tiny(initialisation="learnt", base_duration=0.1, num_queries=50)
    queries, dense = LearntStart(config)(memory())
    assert dense is None
    assert queries.valid.shape == (2, 50)
    boundary, instance = queries.positions.boundary[0], queries.positions.instance[0]
    assert (boundary[:, 1] > boundary[:, 0]).all()
    assert (instance[:, 1] <= 0.1 + 1e-4).all()
    assert boundary.min() < 0.2 < 0.8 < boundary.max()
    assert (to_centre_width(boundary) - instance).abs().max() > 0.2


def decoder_gradient(**changes: object) -> dict[str, bool]:
    """For the parts of a detector, whether the decoder's last layer alone teaches them anything."""
    torch.manual_seed(0)
    model = restless(DualDETR(DualDETRConfig.tiny(**changes), 16, 1))
    output = model(torch.randn(1, 20, 16), torch.zeros(1, 20).bool())
    target = Target(torch.tensor([[0.2, 0.5]]), torch.tensor([0]))
    SetCriterion(LOSS)(type(output)(layers=output.layers[-1:]), [target])["total"].backward()
    return {
        name: any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters())
        for name, part in {"encoder": model.encoder, "start": model.start}.items()
    }


@pytest.mark.parametrize(
    ("changes", "learns"),
    [
        ({}, False),
        ({"detach_content_init": False}, True),
        ({"initialisation": "full_position"}, True),
        ({"initialisation": "position"}, True),
        ({"initialisation": "learnt"}, True),
    ],
)
def test_decoding_teaches_what_queries_start_from_unless_it_is_detached(
    changes: dict[str, object], learns: bool
) -> None:
    assert decoder_gradient(**changes) == {"encoder": True, "start": learns}


def test_a_gradient_into_contents_stops_at_the_boxes_and_classes_of_the_proposals() -> None:
    start = aligned(detach_content_init=False)
    queries, _ = start(memory())
    sum(content.square().sum() for content in queries.contents.values()).backward()
    assert start.proposals.transform[0].weight.grad is not None
    assert all(parameter.grad is None for parameter in start.proposals.head.parameters())


def test_learnt_positions_learn_from_the_first_layer_on() -> None:
    torch.manual_seed(0)
    model = restless(DualDETR(DualDETRConfig.tiny(initialisation="learnt"), 16, 1))
    output = model(torch.randn(1, 20, 16), torch.zeros(1, 20).bool())
    (output.layers[0].segments * torch.tensor([1.0, 2.0])).sum().backward()
    for place in model.start.places.values():
        assert place.grad is not None
        assert (place.grad != 0).any()
