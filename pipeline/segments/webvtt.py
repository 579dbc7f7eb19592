"""Segments as WebVTT, the subtitles that browsers and players show over a video (W3C, 2019)."""

import re
from bisect import bisect_left, bisect_right

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.segments.tables import ordered
from pipeline.segments.threshold import ScoreThreshold

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
_LATEST = 1e9  # seconds


def webvtt(segments: pa.Table, threshold: ScoreThreshold, at_a_time: int) -> str:
    """The file of one video: a cue for each segment that is shown, its label and its score, by start.

    Best first, a segment is shown where it has a length and nowhere in it `at_a_time` better ones are shown already.
    A note tells the threshold.

    Args:
        segments: table of `SEGMENTS_SCHEMA`, of one video.
        threshold: segments with a lower score are left out.
        at_a_time: cues on the screen at once, at most.
    """
    kept = ordered(segments.filter(pc.greater_equal(segments["score"], threshold.value)))
    starts, ends = ([_milliseconds(t) for t in kept[name].to_pylist()] for name in ("t_start", "t_end"))
    labels, scores = kept["label"].to_pylist(), kept["score"].to_pylist()
    cues = [
        (starts[row], ends[row], f"{_in_a_line(labels[row])} {scores[row]:.3g}")
        for row in _readable(starts, ends, at_a_time)
    ]
    blocks = [f"{_clock(start)} --> {_clock(end)}\n{text}" for start, end, text in sorted(cues)]
    return "\n\n".join(["WEBVTT", f"NOTE {threshold}", *blocks]) + "\n"


def _milliseconds(seconds: float) -> int:
    """A cue's time, which begins at 0 and is a number of a sensible length."""
    return round(1000 * min(max(seconds, 0.0), _LATEST))


def _readable(starts: list[int], ends: list[int], at_a_time: int) -> list[int]:
    """The rows that are shown, in this order, where at most `at_a_time` may overlap at any moment."""
    shown = []
    # So many are shown from each of these times on until the next.
    times, counts = [0], [0]
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        first, last = bisect_right(times, start) - 1, bisect_left(times, end)
        if end <= start or any(counts[place] >= at_a_time for place in range(first, last)):
            continue
        shown.append(row)
        for time in (start, end):
            place = bisect_left(times, time)
            if place == len(times) or times[place] != time:
                times.insert(place, time)
                counts.insert(place, counts[place - 1])
        for place in range(bisect_left(times, start), bisect_left(times, end)):
            counts[place] += 1
    return shown


def _clock(milliseconds: int) -> str:
    seconds, part = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{part:03d}"


def _in_a_line(label: str) -> str:
    """The label as text of a cue, which markup and an empty line would end."""
    return re.sub(r"[\r\n]+", " ", label).translate(_ESCAPES)
