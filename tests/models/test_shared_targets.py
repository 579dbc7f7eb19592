"""Actions of several classes at one place: one target with all their classes, and a loss that asks for them all."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from models.criterion import SetCriterion
from models.deformable_detr import DeformableDETRLossConfig
from models.detection import DetectorOutput, SetPrediction, Target
from models.segments import pairwise_tiou
from models.shared_targets import share_targets


def target(*actions: tuple[float, float, int]) -> Target:
    return Target(
        torch.tensor([action[:2] for action in actions]).reshape(-1, 2),
        torch.tensor([action[2] for action in actions], dtype=torch.long),
    )


def test_each_joins_the_one_that_it_overlaps_most() -> None:
    actions = target(
        (0.10, 0.30, 0),
        (0.12, 0.32, 1),  # tIoU 0.82 with the first
        (0.11, 0.31, 0),  # of a class that is there already: one of its own
        (0.11, 0.31, 2),  # at the very place of that one
        (0.60, 0.90, 1),
    )
    (shared,), (classes,) = share_targets([actions], 0.7, 4)
    assert torch.equal(shared.segments, actions.segments[[0, 2, 4]])
    assert shared.labels.tolist() == [0, 0, 1]
    assert classes.tolist() == [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0]]


def test_nothing_stays_nothing() -> None:
    shared, classes = share_targets([target()], 0.7, 4)
    assert shared[0].segments.shape == (0, 2)
    assert classes[0].shape == (0, 4)


@given(
    st.lists(st.tuples(st.floats(0, 0.9), st.floats(0.01, 0.5), st.integers(0, 3)), max_size=10),
    st.floats(0.1, 1.0),
)
def test_every_action_is_in_one_and_all_in_one_overlap(
    rows: list[tuple[float, float, int]], least: float
) -> None:
    actions = target(*[(start, start + width, label) for start, width, label in rows])
    (shared,), (classes,) = share_targets([actions], least, 4)
    assert int(classes.sum()) == len(rows)
    overlaps = pairwise_tiou(actions.segments, shared.segments)
    for index, label in enumerate(actions.labels.tolist()):
        assert any(
            classes[n, label] and overlaps[index, n] >= least - 1e-6 for n in range(len(shared.labels))
        )


def criterion(shared_tiou: float) -> SetCriterion:
    return SetCriterion(DeformableDETRLossConfig(shared_tiou=shared_tiou))


def output(logits: list[list[float]]) -> DetectorOutput:
    segments = torch.tensor([[[0.1, 0.3], [0.5, 0.9]]], requires_grad=True)
    return DetectorOutput(
        layers=(SetPrediction(segments, torch.tensor([logits]), torch.ones(1, 2, dtype=torch.bool)),)
    )


def test_a_query_is_asked_for_all_classes_at_its_place() -> None:
    """Two classes at one place: one query that says both is right, and the other query is background."""
    actions = [target((0.1, 0.3, 0), (0.1, 0.3, 1))]
    both = output([[6.0, 6.0, -6.0], [-6.0, -6.0, -6.0]])
    one = output([[6.0, -6.0, -6.0], [-6.0, -6.0, -6.0]])
    assert criterion(0.7)(both, actions)["class"] < 0.01
    assert criterion(0.7)(one, actions)["class"] > 0.5
    assert criterion(0.7)(both, actions)["tiou"] < 1e-6
    # Apart, the second action has to be answered for by a query that lies elsewhere.
    assert criterion(1.0)(both, actions)["class"] > 0.5


def test_actions_of_one_class_or_apart_have_the_losses_that_they_had() -> None:
    torch.manual_seed(0)
    found = output(torch.randn(2, 3).tolist())
    for actions in (
        [target((0.1, 0.3, 0), (0.1, 0.3, 0))],
        [target((0.1, 0.3, 0), (0.5, 0.9, 1))],
        [target()],
    ):
        apart, together = criterion(1.0)(found, actions), criterion(0.7)(found, actions)
        assert {name: loss.item() for name, loss in apart.items()} == {
            name: loss.item() for name, loss in together.items()
        }
