"""What annotations and info files tell about time, and what follows where they tell only part of it."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.features.published.durations import VideoFacts, place_in_time, read_facts
from pipeline.features.timeline import Timeline

OWN_RATE = Timeline(None, 4, 16)


def written(path: Path, content: object) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_the_json_files_in_circulation(tmp_path: Path) -> None:
    # the layout of GAP's thumos14_info_8frame.json, of MultiTHUMOS' frame counts, and of export_features
    content = {
        "a": {"frame_length": 8273, "snippet_length": 1034, "video_fps": 30.0, "frame_duration": 275.73},
        "b": 1228,
        "c": {"duration": 12.5, "fps": 25, "num_snippets": 3},
    }
    assert read_facts(written(tmp_path / "info.json", content)) == {
        "a": VideoFacts(None, 30.0, 8273),
        "b": VideoFacts(None, None, 1228),
        "c": VideoFacts(12.5, 25, None),
    }


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_tables_tell_the_same(tmp_path: Path, suffix: str) -> None:
    table = pa.table({"video_id": ["a", "b"], "duration": [3.5, None], "frames": [None, 90]})
    path = tmp_path / f"info.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path)
    elif suffix == "csv":
        pyarrow.csv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    assert read_facts(str(path)) == {"a": VideoFacts(duration=3.5), "b": VideoFacts(frames=90)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": {"fps": -1}}, r"info\.json: video 'x', fps: must be a positive number, not -1"),
        ({"x": {"video_fps": "30"}}, r"video 'x', video_fps: must be a positive number, not '30'"),
        ({"x": True}, r"video 'x', frames: must be a positive number, not True"),
        ([1], "must be an object of videos, not a list"),
        ({"x": {"duration": 1e308}}, r"video 'x', duration: must be from 1e-06 to 1e\+12, not 1e\+308"),
        ({"x": {"fps": 1e-320}}, r"video 'x', fps: must be from 1e-06 to 1e\+12, not 1e-320"),
        ({"x": 10**200}, r"video 'x', frames: must be from 1e-06 to 1e\+12, not 1000.*\.\.\."),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_facts(written(tmp_path / "info.json", content))


@pytest.mark.parametrize("suffix", ["json", "csv", "jsonl"])
@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_of_hundreds_of_digits_are_refused_in_a_line(
    tmp_path: Path, suffix: str, digits: int
) -> None:
    contents = {
        "json": '{"x": %s}',
        "csv": "video_id,frames\nx,%s\n",
        "jsonl": '{"video_id": "x", "frames": %s}',
    }
    path = tmp_path / f"info.{suffix}"
    path.write_text(contents[suffix] % ("9" * digits))
    with pytest.raises(InputError, match=r"video 'x', frames: must be from 1e-06 to 1e\+12, not inf"):
        read_facts(str(path))


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"deep\.json: not JSON"):
        read_facts(str(tmp_path / "deep.json"))
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.json: not JSON"):
        read_facts(str(tmp_path / "x.json"))
    (tmp_path / "x.csv").write_text("id,fps\na,3\n")
    with pytest.raises(InputError, match=r"x\.csv: lacks column video_id; it has id, fps"):
        read_facts(str(tmp_path / "x.csv"))


def test_two_facts_tell_the_third() -> None:
    # 8273 frames at 30 a second last 275.77 s, whatever rounded duration stands beside them
    known = VideoFacts(frames=8273).filled_from(VideoFacts(duration=275.73, fps=30.0))
    assert place_in_time(OWN_RATE, known, 2065) == (Timeline(30.0, 4, 16), 8273 / 30)
    # frames and seconds give the rate
    assert place_in_time(OWN_RATE, VideoFacts(duration=40.0, frames=1000), 1) == (Timeline(25.0, 4, 16), 40.0)


def test_a_fixed_rate_counts_for_snippets_and_the_native_one_for_the_duration() -> None:
    at_25 = Timeline(25.0, 16, 16)
    assert place_in_time(at_25, VideoFacts(fps=30.0, frames=900), 46) == (at_25, 30.0)
    assert place_in_time(at_25, VideoFacts(duration=31.0), 46) == (at_25, 31.0)


def test_without_any_duration_the_snippets_tell_it() -> None:
    timeline = Timeline(30.0, 4, 16)
    placed = place_in_time(timeline, VideoFacts(), 10)
    assert placed == (timeline, (9 * 4 + 16) / 30)
    assert timeline.num_snippets(timeline.num_frames(placed[1])) == 10


def test_without_any_rate_there_is_no_place_in_time() -> None:
    assert place_in_time(OWN_RATE, VideoFacts(duration=40.0), 10) is None
