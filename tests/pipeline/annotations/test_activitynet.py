"""The ActivityNet-JSON adapter on an excerpt of THUMOS14's own file, and on files that are wrong."""

import io
import json
import logging
from pathlib import Path

import pytest

from pipeline.annotations import activitynet
from pipeline.annotations.published import settle
from pipeline.errors import InputError

EXCERPT = Path(__file__).with_name("thumos14_excerpt.json")


def read_activitynet(stream, name, **rules):
    return settle(activitynet.read_activitynet(stream, name), name, **rules)


def read(content, **options):
    return read_activitynet(io.BytesIO(json.dumps(content).encode()), "mine.json", **options)


def with_video(**fields):
    video = {"subset": "test", "duration": 10, "annotations": [{"segment": [1, 2], "label": "run"}]}
    return {"database": {"v1": video | fields}}


def with_instance(**fields):
    return with_video(
        annotations=[{"segment": [1, 2], "label": "run"}, {"segment": [1, 3], "label": "run"} | fields]
    )


def test_raw_truth_counts_every_unambiguous_instance():
    with EXCERPT.open("rb") as stream:
        annotations = read_activitynet(stream, "thumos", raw=True)
    val, test = annotations.subset("val"), annotations.subset("test")
    assert (val.videos.num_rows, val.instances.num_rows) == (3, 1 + 23 + 8)
    assert (test.videos.num_rows, test.instances.num_rows) == (3, 2 + 4 + 0)
    assert len(annotations.labels) == 20
    assert annotations.labels[4] == "CliffDiving"  # the file's order
    first = annotations.videos.to_pylist()[0]
    assert first == {
        "video_id": "video_validation_0000201",
        "subset": "val",
        "duration": 44.06666666666667,
        "fps": 30.0,
    }
    assert annotations.instances.to_pylist()[0] == {
        "video_id": "video_validation_0000201",
        "t_start": 38.2,
        "t_end": 39.5,
        "label": "Diving",
    }


def test_the_defects_of_the_published_file_are_mended_and_logged(caplog):
    with EXCERPT.open("rb") as stream, caplog.at_level(logging.INFO):
        annotations = read_activitynet(stream, "thumos")
    # Two instances of ...364 and one of ...1081 begin after their video; one of ...318 ends 33 ms late.
    assert annotations.subset("val").instances.num_rows == 30
    assert annotations.subset("test").instances.num_rows == 5
    assert annotations.by_video()["video_validation_0000318"].segments.max() == 186.66666666666666
    (line,) = caplog.messages
    assert line == (
        "thumos: val: 3 videos, 30 instances; test: 3 videos, 5 instances; 20 classes "
        "(of 43 instances: 5 ignored by label; dropped 3 outside the video; clamped 1 to the video)"
    )


def test_without_classes_the_labels_are_those_that_occur_sorted():
    content = with_video(
        annotations=[{"segment": [1, 2], "label": label} for label in ("run", "Ambiguous", "jump", "run")]
    )
    assert read(content).labels == ("jump", "run")
    assert read(content, ignored_labels=()).labels == ("Ambiguous", "jump", "run")
    assert read(content, ignored_labels=["run"], raw=True).instances["label"].to_pylist() == [
        "Ambiguous",
        "jump",
    ]


def test_text_and_bytes_read_alike():
    content = json.dumps(with_video())
    text = read_activitynet(io.StringIO(content), "mine.json")
    assert text.instances.equals(read(with_video()).instances)
    assert text.videos["fps"].to_pylist() == [None]


def test_the_official_file_lists_its_classes_as_leaves_and_withholds_test_truth():
    content = {
        "version": "VERSION 1.3",
        "taxonomy": [
            {"nodeName": "Root", "nodeId": 0, "parentId": None, "parentName": None},
            {"nodeName": "Sports", "nodeId": 1, "parentId": 0, "parentName": "Root"},
            {"nodeName": "Rock climbing", "nodeId": 3, "parentId": 1, "parentName": "Sports"},
            {"nodeName": "Archery", "nodeId": 2, "parentId": 1, "parentName": "Sports"},
        ],
        "database": {
            "sJFgo9H6zNo": {
                "duration": 29.98,
                "subset": "training",
                "resolution": "1920x1080",
                "url": "https://www.youtube.com/watch?v=sJFgo9H6zNo",
                "annotations": [{"segment": [0.01, 29.98], "label": "Archery"}],
            },
            "V1zhqaGFY2A": {"duration": 124.0, "subset": "testing"},
            "v_is_by_luck": {"duration": 9.0, "subset": "testing", "annotations": []},
        },
    }
    annotations = read(content, id_prefix="v_")
    assert annotations.labels == ("Archery", "Rock climbing")
    assert annotations.videos["video_id"].to_pylist() == ["v_sJFgo9H6zNo", "v_V1zhqaGFY2A", "v_v_is_by_luck"]
    assert annotations.instances["video_id"].to_pylist() == ["v_sJFgo9H6zNo"]
    assert annotations.subset("TESTING").instances.num_rows == 0


def test_ids_that_all_have_the_prefix_keep_them():
    video = {"subset": "val", "duration": 10, "annotations": [{"segment": [1, 2], "label": "run"}]}
    annotations = read({"database": {"v_a": video, "v_b": video}}, id_prefix="v_")
    assert annotations.videos["video_id"].to_pylist() == ["v_a", "v_b"]


def test_keys_of_other_tools_are_passed_over():
    content = {
        "version": "Thumos14-30fps",
        "database": {
            "video_test_0000004": {
                "subset": "Test",
                "duration": 33.67,
                "fps": 30.0,
                "frame": 1010,
                "annotations": [
                    {
                        "label": "CricketBowling",
                        "segment": [0.2, 1.1],
                        "segment(frames)": [6.0, 33.0],
                        "label_id": 5,
                    }
                ],
            }
        },
    }
    assert read(content).subset("test").instances.to_pylist() == [
        {"video_id": "video_test_0000004", "t_start": 0.2, "t_end": 1.1, "label": "CricketBowling"}
    ]


def test_a_segment_with_two_labels_stays_two_instances_and_is_counted(caplog):
    twice = [{"segment": [1, 2], "label": label} for label in ("CliffDiving", "Diving")]
    with caplog.at_level(logging.INFO):
        annotations = read(with_video(annotations=[*twice, {"segment": [1, 3], "label": "Diving"}]))
    assert annotations.instances["label"].to_pylist() == ["CliffDiving", "Diving", "Diving"]
    assert "1 segments with several labels kept" in caplog.text


def test_short_instances_are_left_out_on_demand_raw_or_not(caplog):
    content = with_video(
        annotations=[{"segment": [1, 1 + length], "label": "run"} for length in (0.25, 0.5, 0.75)]
    )
    for raw in (False, True):
        with caplog.at_level(logging.INFO):
            kept = read(content, raw=raw, min_seconds=0.5)
        assert kept.instances["t_end"].to_pylist() == [1.75]
        assert "dropped 2 not longer than 0.5 s" in caplog.messages[-1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"database": {"v1": {"subset": "train", "duration": 1}}}, "'v1': annotations: Field required"),
        ({"database": {}, "taxonomy": [{"nodeName": "x"}]}, r"taxonomy\[0\].nodeId: Field required"),
        ([], "mine.json: Input should be an object"),
        ({"classes": []}, "mine.json: database: Field required"),
        ({"database": [1]}, "mine.json: database: Input should be an object"),
        ({"database": {"v1": 7}}, "video 'v1': Input should be an object"),
        ({"database": {"v1": {}}}, "video 'v1', subset: Field required"),
        (with_video(duration="10"), "video 'v1', duration: Input should be a valid number, not '10'"),
        (with_video(duration=float("nan")), "video 'v1', duration: Input should be a finite number, not nan"),
        (with_video(duration=0), "video 'v1', duration: Input should be greater than 0.000001, not 0"),
        (with_video(duration=True), "video 'v1', duration: Input should be a valid number, not True"),
        (
            with_video(duration=1e308),
            r"video 'v1', duration: Input should be less than or equal to .*, not 1e\+308",
        ),
        (with_video(duration=1e-320), "video 'v1', duration: Input should be greater than 0.000001"),
        (with_video(fps=10**400), "video 'v1', fps: Input should be a finite number"),
        (with_video(fps=-1), "video 'v1', fps: Input should be greater than 0"),
        (with_video(annotations=None), "video 'v1', annotations: Input should be a valid array"),
        (with_instance(label=None), r"video 'v1', annotations\[1\].label: Input should be a valid string"),
        (
            with_video(annotations=[{"segment": [1, 2]}]),
            r"video 'v1', annotations\[0\].label: Field required",
        ),
        (with_video(annotations=[{"label": "x"}]), r"video 'v1', annotations\[0\].segment: Field required"),
        (with_instance(segment=[1]), r"annotations\[1\].segment\[1\]: Field required"),
        (with_instance(segment=[1, 2, 3]), r"annotations\[1\].segment: .* at most 2 items .* not 3$"),
        (
            with_instance(segment=[1, float("inf")]),
            r"annotations\[1\].segment\[1\]: .* finite number, not inf",
        ),
        (with_instance(segment=["1", 2]), r"annotations\[1\].segment\[0\]: .* valid number, not '1'"),
        (
            with_instance(segment="x" * 999),
            r"annotations\[1\].segment: Input should be a valid array, not 'xxx",
        ),
        (with_video() | {"classes": ["jump"]}, "mine.json: video 'v1' has label 'run'; add it to"),
        (with_video() | {"classes": ["run", "jump", "run"]}, "mine.json: classes lists 'run' twice"),
        (with_video() | {"classes": [1]}, r"mine.json: classes\[0\]: Input should be a valid string"),
    ],
)
def test_a_malformed_file_is_one_line_naming_file_video_and_field(content, told):
    with pytest.raises(InputError, match=told) as error:
        read(content)
    assert str(error.value).startswith("mine.json: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"not json", b"[" * 100_000])
def test_what_is_not_json_is_an_error_naming_the_file(content):
    with pytest.raises(InputError, match=r"^mine.json: Invalid JSON"):
        read_activitynet(io.BytesIO(content), "mine.json")
