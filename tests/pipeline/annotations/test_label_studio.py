"""What Label Studio exports as JSON, read by its documentation."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.annotations.label_studio import read_label_studio
from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig
from pipeline.errors import InputError
from pipeline.segments.label_studio import label_studio_config, label_studio_tasks
from tests.pipeline.evaluation.cases import segments_table

EXCERPT = Path(__file__).with_name("data") / "label_studio_excerpt.json"


def read(content: Any, fps: float = 24.0) -> Any:
    return read_label_studio(io.BytesIO(json.dumps(content).encode()), "file.json", "train", fps)


def task(result: list[dict[str, Any]], **data: Any) -> dict[str, Any]:
    return {"data": {"video": "/data/v.mp4"} | data, "annotations": [{"result": result}]}


def timeline(start: int, end: int, *labels: str) -> dict[str, Any]:
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": list(labels)}
    return {"type": "timelinelabels", "from_name": "t", "to_name": "v", "value": value}


def test_an_export_becomes_videos_and_instances(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with open(EXCERPT, "rb") as stream:
        published = read_label_studio(stream, "file.json", "train", 24.0)
    assert published.videos.to_pylist() == [
        {"video_id": "beach run", "subset": "train", "duration": None, "fps": None},
        {"video_id": "pool", "subset": "test", "duration": 12.5, "fps": None},
    ]
    assert [tuple(row.values()) for row in published.instances.to_pylist()] == [
        ("beach run", 1.0, 2.0, "Jump"),  # frames 25 to 48: the second second
        ("beach run", 1.0, 2.0, "Run"),
        ("beach run", 99 / 24, 100 / 24, "Run"),
        ("pool", 1.25, 3.75, "Jump"),
    ]
    assert "1 of 3 tasks are not annotated" in caplog.text


def test_it_is_a_dataset_for_training() -> None:
    dataset = DatasetConfig(format="label_studio", annotations=str(EXCERPT), fps=12)
    truth = read_subset(dataset, "train")
    assert truth.labels == ("Jump", "Run")
    assert truth.instances["t_start"].to_pylist() == [2.0, 2.0, 99 / 12]


def test_a_task_says_its_own_rate_and_id() -> None:
    published = read([task([timeline(11, 20, "a")], fps=10, video_id="x/y", duration=7)])
    assert published.videos.to_pylist() == [
        {"video_id": "x/y", "subset": "train", "duration": 7.0, "fps": None}
    ]
    assert published.instances.to_pylist() == [
        {"video_id": "x/y", "t_start": 1.0, "t_end": 2.0, "label": "a"}
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"a": 1}, "file.json: Input should be a valid"),
        ([{"video": "v.mp4", "timelineLabels": []}], r"\[0\].data: Field required; not what .*JSON-MIN"),
        ([task([timeline(0, 3, "a")])], r"task \[0\], result\[0\].value.ranges\[0\].start: .* not 0"),
        ([task([], fps=-1)], r"task \[0\], data.fps: .* not -1"),
        ([task([]), task([])], r"task \[1\]: its video is 'v', as another task's is; give data.video_id"),
        (
            [{"data": {"clip": "a/b.mp4", "poster": "a/b.png"}, "annotations": [{"result": []}]}],
            "is not plain",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(content: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read(content)


def test_segments_written_as_predictions_come_back_when_they_are_accepted() -> None:
    rows = [("v", 1.0, 2.5, 'a "b" <c> & é', 0.75), ("v", 0.0, 0.01, "d", 0.5), ("w/x", 3.0, 9.0, "d", 0.25)]
    fps = 20.0
    tasks = json.loads(
        label_studio_tasks(segments_table(rows), {"v": "/data/local-files/?d=v.mp4"}, fps, "m")
    )
    assert [one["data"]["video"] for one in tasks] == ["/data/local-files/?d=v.mp4", "w/x"]
    assert tasks[0]["predictions"][0]["result"][0]["score"] == 0.75
    accepted = [{"data": one["data"], "annotations": one["predictions"]} for one in tasks]
    instances = read(accepted).instances.to_pylist()
    back = {(one["video_id"], one["label"]): (one["t_start"], one["t_end"]) for one in instances}
    assert back == {
        ("v", 'a "b" <c> & é'): (1.0, 2.5),
        ("v", "d"): (0.0, 1 / fps),  # a frame is the least that Label Studio knows
        ("w/x", "d"): (3.0, 9.0),
    }


def test_the_configuration_is_xml_with_every_class() -> None:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(label_studio_config(['a "b" <c> & é', "d"], 29.97))
    assert [label.get("value") for label in root.iter("Label")] == ['a "b" <c> & é', "d"]
    (video,) = root.iter("Video")
    (labels,) = root.iter("TimelineLabels")
    assert (video.get("frameRate"), labels.get("toName")) == ("29.97", video.get("name"))
