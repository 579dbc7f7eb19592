"""Projects of VIA 3, read and written."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig
from pipeline.annotations.via import read_via
from pipeline.errors import InputError
from pipeline.segments.via import via_project
from tests.pipeline.evaluation.cases import segments_table

EXCERPT = Path(__file__).with_name("data") / "via_excerpt.json"


def excerpt(**changes: Any) -> io.BytesIO:
    return io.BytesIO(json.dumps(json.loads(EXCERPT.read_text()) | changes).encode())


def test_a_project_becomes_videos_and_instances() -> None:
    published = read_via(excerpt(), "file.json", "train")
    assert published.videos["video_id"].to_pylist() == ["beach run", "pool", "empty"]
    assert set(published.videos["subset"].to_pylist()) == {"train"}
    assert [tuple(row.values()) for row in published.instances.to_pylist()] == [
        ("beach run", 1.5, 4.25, "Run"),
        ("beach run", 5.0, 6.5, "Default"),
        ("beach run", 5.0, 6.5, "Fall"),
        ("beach run", 5.0, 6.5, "Shout"),
        ("pool", 0.125, 9.875, "Jump"),
    ]


def test_it_is_a_dataset_for_testing() -> None:
    dataset = DatasetConfig(format="via", annotations=str(EXCERPT), subset="test")
    truth = read_subset(dataset, "test", raw=True)
    assert truth.videos.num_rows == 3
    assert truth.labels == ("Default", "Fall", "Jump", "Run", "Shout")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"metadata": None}, "file.json: metadata: .*; not a project of VIA 3"),
        ({"metadata": {"m": {"vid": "1", "z": ["a", 2]}}}, r"metadata.m.z\[0\]: .* not 'a'"),
        ({"view": {"1": {"fid_list": ["9"]}}}, "view '1', fid_list: there is no file '9'"),
        ({"file": {key: {"fname": "a/x.mp4"} for key in "123"}}, "two files are called 'x'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_via(excerpt(**changes), "file.json", "train")


def test_segments_that_are_written_come_back() -> None:
    rows = [("v", 1.0, 2.5, 'a "b", <c>', 0.75), ("v", 0.0, 0.5, "default", 0.5), ("w", 3.0, 9.0, "d", 0.25)]
    project = via_project(segments_table(rows), {"v": "https://host/clips/v.mp4"}, "mine")
    published = read_via(io.BytesIO(project), "file.json", "train")
    found = {tuple(row.values()) for row in published.instances.to_pylist()}
    assert found == {row[:4] for row in rows}
    assert published.videos["video_id"].to_pylist() == ["v", "w"]
    assert json.loads(project)["file"]["1"]["src"] == "https://host/clips/v.mp4"
