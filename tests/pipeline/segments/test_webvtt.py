"""Subtitles: what is shown, when, and as which text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.segments.threshold import ScoreThreshold
from pipeline.segments.webvtt import webvtt
from tests.pipeline.evaluation.cases import segments_table

ALL = ScoreThreshold(0.0, "min_score")


def shown(rows, threshold=ALL, at_a_time=100):
    """(start, end, text) of the cues of a file, times as written."""
    segments = segments_table([("v", start, end, label, score) for start, end, label, score in rows])
    head, note, *blocks = webvtt(segments, threshold, at_a_time).removesuffix("\n").split("\n\n")
    assert (head, note) == ("WEBVTT", f"NOTE {threshold}")
    cues = []
    for block in blocks:
        times, text = block.split("\n")
        cues.append((*times.split(" --> "), text))
    return cues


def seconds(clock):
    hours, minutes, rest = re.fullmatch(r"(\d\d+):([0-5]\d):([0-5]\d\.\d{3})", clock).groups()
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


def test_a_file_by_hand():
    rows = [
        ("v", 3661.5, 7200, "Long Jump", 0.87654),
        ("v", 1.0004, 2.5, "run", 0.5),
        ("v", 4, 5, "run", 0.29),
    ]
    assert webvtt(segments_table(rows), ScoreThreshold(0.3, "best F1"), 3) == (
        "WEBVTT\n\n"
        "NOTE a score of 0.3 or more (best F1)\n\n"
        "00:00:01.000 --> 00:00:02.500\nrun 0.5\n\n"
        "01:01:01.500 --> 02:00:00.000\nLong Jump 0.877\n"
    )
    assert shown([]) == []


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("<b>Tom & Jerry</b>", "&lt;b&gt;Tom &amp; Jerry&lt;/b&gt; 1"),
        ("a --> b", "a --&gt; b 1"),
        ("one\n\ntwo\rthree\r\n", "one two three  1"),
        ("🏃 läuft", "🏃 läuft 1"),
        ("", " 1"),
        ("nul\0", "nul\ufffd 1"),
    ],
)
def test_labels_are_text_whatever_they_hold(label, text):
    assert shown([(0, 1, label, 1.0)]) == [("00:00:00.000", "00:00:01.000", text)]


def test_times_that_no_cue_can_have():
    rows = [
        (-2, 1, "early", 1.0),
        (-2, -1, "before", 1.0),
        (3, 3.0004, "short", 1.0),
        (5, 4, "reversed", 1.0),
    ]
    assert shown([*rows, (4.0, 1e308, "endless", 1.0)]) == [
        ("00:00:00.000", "00:00:01.000", "early 1"),
        ("00:00:04.000", "277777:46:40.000", "endless 1"),
    ]


def test_the_best_are_shown_where_there_is_room():
    rows = [
        (0, 10, "first", 0.9),
        (2, 4, "second", 0.8),
        (6, 8, "third", 0.7),
        (3, 7, "fourth", 0.6),  # beside the first and the second
        (4, 6, "fifth", 0.5),  # beside the first only: it touches the others
        (9, 12, "sixth", 0.4),
    ]
    assert [text.split()[0] for _, _, text in shown(rows, at_a_time=2)] == [
        "first", "second", "fifth", "third", "sixth",
    ]  # fmt: skip
    assert [text.split()[0] for _, _, text in shown(rows, at_a_time=1)] == ["first"]


coarse = st.integers(0, 15).map(float)


@given(
    st.lists(st.tuples(coarse, coarse, st.sampled_from("abc"), st.integers(1, 9)), max_size=25),
    st.integers(1, 4),
)
def test_never_more_at_a_time_and_none_is_left_out_that_fits(cases, at_a_time):
    rows = [(start, end, label, score / 10) for start, end, label, score in cases]
    cues = [(seconds(start), seconds(end), text) for start, end, text in shown(rows, at_a_time=at_a_time)]
    assert cues == sorted(cues)

    def beside(moment, candidates):
        return sum(start <= moment < end for start, end, *_ in candidates)

    moments = [quarter / 4 for quarter in range(64)]
    assert all(beside(moment, cues) <= at_a_time for moment in moments)
    left_out = [row for row in rows if row[1] > row[0]]
    for start, end, text in cues:
        label, score = text.split()
        left_out.remove((start, end, label, float(score)))
    for start, end, _, score in left_out:
        better = [cue for cue in cues if float(cue[2].split()[1]) >= score]
        assert any(beside(moment, better) >= at_a_time for moment in moments if start <= moment < end)
