"""Results of other tools, read and written."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.segments.activitynet_json import read_results, results_json
from tests.pipeline.evaluation.cases import predicted_rows, segments_table


def read(content, video_ids=()):
    text = content if isinstance(content, str) else json.dumps(content)
    return read_results(io.BytesIO(text.encode()), "found.json", video_ids)


def detection(**changes):
    return {"label": "run", "score": 0.5, "segment": [1.0, 2.5]} | changes


def test_a_file_of_the_activitynet_toolkit():
    content = {
        "version": "VERSION 1.3",
        "results": {
            "b": [detection(), detection(score=1, segment=[3, 4])],
            "a": [],
            "c": [detection(label=7)],
        },
        "external_data": {"used": True, "details": "none"},
    }
    rows = [tuple(row.values()) for row in read(content).to_pylist()]
    assert rows == [("b", 1.0, 2.5, "run", 0.5), ("b", 3.0, 4.0, "run", 1.0), ("c", 1.0, 2.5, "7", 0.5)]


def test_proposals_without_labels_are_actions():
    content = {"results": {"v": [{"score": 0.5, "segment": [0, 1]}]}}
    assert read(content)["label"].to_pylist() == ["action"]


def test_video_ids_take_the_form_that_the_dataset_knows():
    content = {"results": {name: [detection()] for name in ("abc", "v_def", "v_ghi", "jkl")}}
    table = read(content, ["v_abc", "def", "v_ghi"])
    assert table["video_id"].to_pylist() == ["v_abc", "def", "v_ghi", "jkl"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[1, 2", "Invalid JSON"),
        ({"version": "1"}, "results: Field required"),
        ({"results": {"x": detection()}}, "video 'x': .*array"),
        ({"results": {"x": [detection(), {"score": 1.0}]}}, r"video 'x', \[1\].segment: Field required"),
        ({"results": {"x": [detection(segment=[1.0])]}}, r"video 'x', \[0\].segment"),
        ({"results": {"x": [detection(segment=[1.0, "2"])]}}, r"video 'x', \[0\].segment\[1\]"),
        ({"results": {"x": [detection(score=None)]}}, r"video 'x', \[0\].score: .*valid number"),
        ({"results": {"x": [detection(label=["run"])]}}, r"video 'x', \[0\].label"),
        ('{"results": {"x": [{"score": NaN, "segment": [0, 1]}]}}', r"video 'x', \[0\].score: .*finite"),
    ],
)
def test_a_malformed_file_is_one_line_naming_file_video_and_field(content, told):
    with pytest.raises(InputError, match=f"^found.json: {told}") as error:
        read(content)
    assert "\n" not in str(error.value)


def test_a_video_under_both_of_its_ids_is_an_error():
    with pytest.raises(InputError, match="'abc' is also listed as 'v_abc'"):
        read({"results": {"abc": [detection()], "v_abc": [detection()]}}, ["v_abc"])


def test_what_is_written_is_the_toolkits_form_best_first():
    rows = [("w", 0, 1, "run", 0.1), ("v", 0, 1, "run", 0.2), ("w", 5, 6, "jump", 0.9)]
    content = json.loads(results_json(segments_table(rows)))
    assert set(content) == {"version", "results", "external_data"}
    assert content["results"] == {
        "w": [
            {"label": "jump", "score": 0.9, "segment": [5.0, 6.0]},
            {"label": "run", "score": 0.1, "segment": [0.0, 1.0]},
        ],
        "v": [{"label": "run", "score": 0.2, "segment": [0.0, 1.0]}],
    }


def test_videos_without_segments_are_in_it_where_they_are_named():
    content = json.loads(results_json(segments_table([("w", 0, 1, "run", 0.1)]), ["a", "w", "z"]))
    assert [(name, len(found)) for name, found in content["results"].items()] == [
        ("a", 0),
        ("w", 1),
        ("z", 0),
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(predicted_rows, max_size=20))
def test_what_is_written_reads_back(rows):
    back = read(results_json(segments_table(rows)).decode())
    assert sorted(map(str, back.to_pylist())) == sorted(map(str, segments_table(rows).to_pylist()))
