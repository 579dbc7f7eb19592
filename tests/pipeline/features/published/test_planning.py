"""Lengths against durations, and the widths that a store is made for."""

import pytest

from pipeline.failures import FailureKind
from pipeline.features.published.errors import FeatureFileError
from pipeline.features.published.listing import PublishedVideo
from pipeline.features.published.places import Place
from pipeline.features.published.planning import LengthRule, describe_mismatch, expected_length, usual_widths
from pipeline.features.published.shapes import PublishedShape
from pipeline.features.timeline import Timeline


def test_lengths_are_judged_by_snippets_and_then_by_their_part() -> None:
    rule = LengthRule(tolerance=4, limit=0.25)
    assert not rule.is_remarkable(104, 100)
    assert rule.is_remarkable(95, 100)
    assert not rule.is_hopeless(75, 100)
    assert rule.is_hopeless(74, 100)
    assert not rule.is_hopeless(5, 1)  # short videos have the tolerance
    assert rule.is_hopeless(6, 1)


@pytest.mark.parametrize(
    ("timeline", "duration", "expected"),
    [
        # 8273 frames: GAP's info file says 1034 snippets of 8; windows of 16 every 4 frames are (8273 - 16) // 4 + 1
        (Timeline(30.0, 8, 8), 8273 / 30, 1034),
        (Timeline(30.0, 4, 16), 8273 / 30, 2065),
        (Timeline(25.0, 16, 16), 60.0, 93),
    ],
)
def test_the_expected_length_follows_the_timeline(timeline: Timeline, duration: float, expected: int) -> None:
    assert expected_length(timeline, duration) == expected


def test_a_mismatch_is_told_with_its_numbers() -> None:
    assert describe_mismatch(1034, 2065, 8273 / 30, Timeline(30.0, 4, 16)) == (
        "holds 1034 snippets, but 275.77 s at 30 fps make 2065 (stride 4, window 16)"
    )


def test_the_commonest_width_counts_unless_the_store_has_one() -> None:
    videos = [PublishedVideo(name, (Place(name), Place(f"{name}'"))) for name in "abcd"]
    widths = {"a": 5, "b": 8, "c": 8}
    shapes = {Place(name): PublishedShape(3, width) for name, width in widths.items()}
    shapes |= {Place(f"{name}'"): PublishedShape(3, 4) for name in "abcd"}
    shapes[Place("d")] = PublishedShape(error=FeatureFileError(FailureKind.UNREADABLE, "is damaged"))
    assert usual_widths(videos, shapes, None) == [8, 4]
    assert usual_widths(videos, shapes, [5, 4]) == [5, 4]
    assert usual_widths(videos, shapes, [6, 4]) == [8, 4]
    assert usual_widths([], shapes, [6, 4]) == [6, 4]
    assert usual_widths([], shapes, None) is None
    assert usual_widths([PublishedVideo("a", (Place("a"), None))], shapes, None) is None
