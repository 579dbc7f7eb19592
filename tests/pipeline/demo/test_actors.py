"""Actors at rest and in action."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.demo.actors import ACTORS, Actor, Moment

SIZE = 90.0


def picture_of(actor: Actor, moment: Moment | None) -> np.ndarray:
    picture = np.full((3, 120, 160), 0.4, dtype=np.float32)
    actor.draw(picture, moment)
    return picture


def cast(label: str, seed: int = 0) -> Actor:
    return ACTORS[label].cast(np.random.default_rng(seed), (80.0, 110.0), SIZE)


# All but the ball, which the ground squashes from the first touch to the last.
@pytest.mark.parametrize("label", ["flash", "open", "spin", "wave"])
def test_an_action_begins_and_ends_in_the_pose_at_rest(label: str) -> None:
    actor = cast(label)
    rest = picture_of(actor, None)
    for elapsed in (1e-6, 3 - 1e-6):
        almost = picture_of(actor, Moment(elapsed, 3.0))
        assert np.abs(almost - rest).mean() < 1e-3  # half-covered rims of what lies behind


@pytest.mark.parametrize("label", sorted(ACTORS))
@given(fraction=st.floats(0.3, 0.7), length=st.floats(1, 12), seed=st.integers(0, 20))
def test_an_action_shows(label: str, fraction: float, length: float, seed: int) -> None:
    actor = cast(label, seed)
    acting, rest = picture_of(actor, Moment(fraction * length, length)), picture_of(actor, None)
    changed = np.abs(acting - rest).max(axis=0) > 0.04  # ten grey levels of 256
    assert changed.sum() > 0.03 * SIZE * SIZE
    assert acting.min() >= 0
    assert acting.max() <= 1


@pytest.mark.parametrize("label", sorted(ACTORS))
def test_actors_look_different_from_video_to_video(label: str) -> None:
    one, same, other = cast(label, 1), cast(label, 1), cast(label, 2)
    assert one == same
    assert one != other


@given(st.floats(0.5, 12), st.floats(0.3, 6))
def test_an_action_makes_whole_turns_and_swells_in_between(length: float, per_second: float) -> None:
    end, middle = Moment(length, length), Moment(length / 2, length)
    turns = end.turns(per_second)
    assert turns == pytest.approx(round(turns))
    assert turns >= 1
    assert turns == pytest.approx(length * per_second, abs=1)
    assert end.swell(0.3) == replace(end, elapsed=0.0).swell(0.3) == 0
    assert middle.swell(0.3) == 1
