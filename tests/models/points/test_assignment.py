"""Which points answer for which actions, against published examples and a loop over all points."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.actionformer import ActionFormerLossConfig
from models.detection import Target
from models.matching import pad_targets
from models.points.assignment import assign, count_positives
from models.points.config import PointLossConfig
from models.points.grid import grid, level_lengths

CONFIG = ActionFormerLossConfig()
PER_CLASS = replace(CONFIG, regression_per_class=True)
Asked = dict[tuple[int, int], tuple[list[int], list[float]]]


def target(rows: list[tuple[float, float, int]], tokens: int) -> Target:
    """Actions that are given on the grid, whose token t lies at (t + 0.5) / tokens."""
    table = torch.tensor(rows, dtype=torch.float64).view(-1, 3)
    return Target(((table[:, :2] + 0.5) / tokens).float(), table[:, 2].long())


def asked(found: Target, tokens: int, padded: int, classes: int, config: PointLossConfig) -> Asked:
    """What the points of one sample are asked for: (place, stride) -> classes and distances."""
    mask = (torch.arange(padded) >= tokens)[None]
    made = assign(pad_targets([found], torch.device("cpu")), mask, classes, config)
    place, stride = grid(level_lengths(padded, config.num_levels), mask.device)
    return {
        (int(place[p]), int(stride[p])): (
            made.classes[0, p].nonzero()[:, 0].tolist(),
            [round(float(d), 4) for d in made.distances[0, p].flatten()],
        )
        for p in made.positive[0].nonzero()[:, 0].tolist()
    }


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [(10, 22)],
            {(14, 2): (2, 4), (16, 2): (3, 3), (18, 2): (4, 2), (12, 4): (0.5, 2.5), (20, 4): (2.5, 0.5)},
        ),
        ([(100.3, 103.1)], {(101, 1): (0.7, 2.1), (102, 1): (1.7, 1.1), (103, 1): (2.7, 0.1)}),
        (
            [(5, 300)],
            {(128, 32): (3.8438, 5.375), (160, 32): (4.8438, 4.375), (192, 32): (5.8438, 3.375)},
        ),
        ([(50.5, 50.9)], {}),  # between two tokens: no point lies in it
    ],
)
def test_published_examples(rows: list[tuple[float, float]], expected: dict) -> None:
    found = asked(target([(*row, 0) for row in rows], 2304), 2304, 2304, 1, CONFIG)
    assert found.keys() == expected.keys()
    for point, distances in expected.items():
        assert found[point][0] == [0]
        assert found[point][1] == pytest.approx(distances, abs=1e-3)


def test_a_nested_action_takes_its_points_and_leaves_the_rest() -> None:
    found = asked(target([(10, 22, 0), (14, 18, 1)], 2304), 2304, 2304, 2, CONFIG)
    assert {point: classes for point, (classes, _) in found.items()} == {
        (14, 2): [0], (16, 2): [0], (18, 2): [0], (12, 4): [0], (20, 4): [0], (15, 1): [1], (16, 1): [1],
        (17, 1): [1],
    }  # fmt: skip
    for point, distances in [((15, 1), (1, 3)), ((16, 1), (2, 2)), ((17, 1), (3, 1))]:
        assert found[point][1] == pytest.approx(distances, abs=1e-3)


def test_equally_long_actions_of_several_classes_share_a_point() -> None:
    found = asked(target([(10, 22, 0), (10, 22, 2), (11, 23.5, 1)], 64), 64, 64, 3, CONFIG)
    assert found[16, 2][0] == [0, 2]
    assert found[16, 2][1] == pytest.approx([3, 3], abs=1e-3)


def test_with_a_regression_per_class_overlapping_actions_have_targets_of_their_own() -> None:
    found = asked(target([(10, 22, 0), (11, 23.5, 1), (9, 22.5, 1)], 64), 64, 64, 3, PER_CLASS)
    classes, distances = found[16, 2]
    assert classes == [0, 1]
    assert distances[:4] == pytest.approx([3, 3, 2.5, 3.75], abs=1e-3)  # of class 1 the shorter


def shortest_of(claims: list[tuple[float, int, float, float]]) -> tuple[float, int, float, float]:
    """The first of the claims that are as short as the shortest, up to a thousandth of a token."""
    shortest = min(length for length, *_ in claims)
    return next(claim for claim in claims if claim[0] <= shortest + 1e-3)


def loop_written(found: Target, tokens: int, num_levels: int, per_class: bool) -> Asked:
    """The rule, point by point and action by action."""
    ends = (found.segments.double() * tokens - 0.5).tolist()
    labels = found.labels.tolist()
    result: Asked = {}
    for level in range(num_levels):
        stride = 2**level
        low = 0 if level == 0 else 2 * stride
        high = np.inf if level == num_levels - 1 else 4 * stride
        for place in range(0, tokens, stride):
            claims = []
            for (a, b), label in zip(ends, labels, strict=True):
                centre = (a + b) / 2
                inside = max(a, centre - 1.5 * stride) < place < min(b, centre + 1.5 * stride)
                if inside and low - 1e-3 <= max(place - a, b - place) <= high + 1e-3:
                    claims.append((b - a, label, a, b))
            if not claims:
                continue
            if per_class:
                best = {label: shortest_of([c for c in claims if c[1] == label]) for _, label, _, _ in claims}
                classes = sorted(best)
                distances = [d for c in classes for d in (place - best[c][2], best[c][3] - place)]
            else:
                shortest = min(length for length, *_ in claims)
                classes = sorted({label for length, label, *_ in claims if length <= shortest + 1e-3})
                _, _, a, b = shortest_of(claims)
                distances = [place - a, b - place]
            result[place, stride] = (classes, [d / stride for d in distances])
    return result


@st.composite
def actions(draw: st.DrawFn) -> tuple[list[tuple[float, float, int]], int, int]:
    """Actions on a grid of eighths of a token, so that those of one length are common, and some padding."""
    tokens = draw(st.integers(1, 70))
    rows = draw(
        st.lists(
            st.tuples(st.integers(-4, 8 * tokens), st.integers(1, 8 * tokens), st.integers(0, 2)),
            max_size=12,
        )
    )
    # Not on the eighths themselves, where a point would lie on the border of a window up to rounding.
    return (
        [(s / 8 + 0.05, (s + n) / 8 + 0.07, label) for s, n, label in rows],
        tokens,
        draw(st.integers(0, 9)),
    )


@given(actions(), st.booleans(), st.integers(1, 6))
def test_points_are_those_of_the_loop_and_padding_changes_none(
    case: tuple[list[tuple[float, float, int]], int, int], per_class: bool, num_levels: int
) -> None:
    rows, tokens, padding = case
    config = replace(PER_CLASS if per_class else CONFIG, num_levels=num_levels)
    found = target(rows, tokens)
    expected = loop_written(found, tokens, num_levels, per_class)
    made = asked(found, tokens, tokens + padding, 3, config)
    assert {point: classes for point, (classes, _) in made.items()} == {
        point: classes for point, (classes, _) in expected.items()
    }
    for point, (classes, distances) in expected.items():
        told = np.array(made[point][1]).reshape(-1, 2)
        told = told[classes] if per_class else told
        np.testing.assert_allclose(told.flatten(), distances, atol=2e-3)
    mask = (torch.arange(tokens + padding) >= tokens)[None]
    pairs = sum(len(classes) for classes, _ in expected.values())
    count = count_positives(pad_targets([found], torch.device("cpu")), mask, config)
    assert count == (pairs if per_class else len(expected))


def test_a_batch_counts_the_points_of_all_samples() -> None:
    rows: list[Tensor] = [
        torch.tensor([[0.1, 0.3]]),
        torch.zeros(0, 2),
        torch.tensor([[0.1, 0.3], [0.5, 0.9]]),
    ]
    targets = [Target(segments, torch.zeros(len(segments), dtype=torch.long)) for segments in rows]
    mask = torch.arange(40) >= torch.tensor([[40], [40], [25]])
    alone = [
        count_positives(pad_targets([one], torch.device("cpu")), mask[i : i + 1], CONFIG)
        for i, one in enumerate(targets)
    ]
    assert count_positives(pad_targets(targets, torch.device("cpu")), mask, CONFIG) == sum(alone)
    assert alone[1] == 0 < alone[0]
