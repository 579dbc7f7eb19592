"""The time rule, frame by frame, against a schedule that the test wrote itself."""

import io
import math
from collections.abc import Callable
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.video.picture import FrameSize
from pipeline.video.reader import FrameReader
from tests.pipeline.video.numbered import RECIPES, Recipe, read_number

Made = Callable[[Recipe], Path]

SIZE = FrameSize(short_side=64, crop=64)
BY_NAME = {recipe.name: recipe for recipe in RECIPES}


def frames_within(recipe: Recipe, fps: Fraction) -> range:
    """Indices of the resampled video's frames that begin before the last picture ends."""
    return range(math.ceil(recipe.duration * fps))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_frame_is_the_one_on_screen(recipe: Recipe, made: Made) -> None:
    for fps in (Fraction(8), Fraction(10), Fraction("7.3"), Fraction(60)):
        indices = frames_within(recipe, fps)
        with FrameReader(made(recipe), fps=float(fps), size=SIZE) as reader:
            numbers = [read_number(picture) for picture in reader.read(indices)]
        assert numbers == [recipe.on_screen(index / fps) for index in indices], f"at {fps} frames a second"


@pytest.mark.parametrize("recipe", [r for r in RECIPES if r.times is None], ids=lambda recipe: recipe.name)
def test_at_its_own_rate_a_video_is_read_picture_by_picture(recipe: Recipe, made: Made) -> None:
    with FrameReader(made(recipe), fps=float(recipe.rate), size=SIZE) as reader:
        numbers = [read_number(picture) for picture in reader.read(range(recipe.count))]
    assert numbers == list(range(recipe.count))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_reading_does_not_depend_on_the_way_there(recipe: Recipe, made: Made) -> None:
    path, fps = made(recipe), 20.0
    indices = frames_within(recipe, Fraction(20))
    with FrameReader(path, fps=fps, size=SIZE) as reader:
        straight = [picture.copy() for picture in reader.read(indices)]
    visits = st.lists(st.lists(st.sampled_from(indices), min_size=1, max_size=12).map(sorted), max_size=8)

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(visits=visits, keep=st.sampled_from([0, 3, 16]))
    def check(visits: list[list[int]], keep: int) -> None:
        with FrameReader(path, fps=fps, size=SIZE, keep=keep) as reader:
            for visit in visits:
                for index, picture in zip(visit, reader.read(visit), strict=True):
                    assert np.array_equal(picture, straight[index])

    check()
