"""Multi-label JSON on excerpts of the published MultiTHUMOS and Charades files, and TSU's in frames."""

import io
import json
import logging
from pathlib import Path

import pytest

from pipeline.annotations.actions_json import read_actions_json
from pipeline.annotations.published import settle
from pipeline.annotations.tsu import read_tsu
from pipeline.errors import InputError

DATA = Path(__file__).with_name("data")


def excerpt(name, **rules):
    with (DATA / name).open("rb") as stream:
        return settle(read_actions_json(stream, name), name, **rules)


def stream(content):
    return io.BytesIO(json.dumps(content).encode())


def test_multithumos_counts_from_one_and_its_defects_are_mended(caplog):
    raw = excerpt("multithumos_excerpt.json", raw=True)
    assert raw.subset("testing").instances.num_rows == 13 + 16 + 9
    assert raw.subset("training").instances.num_rows == 30 + 11 + 7
    assert raw.labels == tuple(sorted(raw.labels, key=int))  # 8 before 12
    # Of video_test_0000950 (1315.39 s): the row [25, 398.44, 4000.36].
    assert raw.by_video()["video_test_0000950"].segments.max() == 4000.36

    with caplog.at_level(logging.INFO):
        mended = excerpt("multithumos_excerpt.json")
    assert mended.by_video()["video_test_0000950"].segments.max() == 1315.39
    assert "dropped 5 of no length, 3 outside the video; clamped 2" in caplog.text


def test_charades_counts_from_zero_and_its_reversed_rows_are_dropped(caplog):
    raw = excerpt("charades_excerpt.json", raw=True)
    assert raw.videos.num_rows == 9
    assert raw.subset("training").instances.num_rows == 5 + 5 + 3 + 7 + 3 + 8
    assert {"0", "1"} <= set(raw.labels)

    with caplog.at_level(logging.INFO):
        mended = excerpt("charades_excerpt.json")
    assert "dropped 7 reversed; clamped 5" in caplog.text
    by_video = mended.by_video()
    # The file has [[23, 21.2, 12.0], [24, 20.9, 12.0], [114, 0.0, 12.0]].
    assert by_video["IOL8Q"].labels.tolist() == ["114"]
    assert by_video["S9KOH"].segments.max() == 8.0
    assert len(by_video["82990"].labels) == len(by_video["G40U3"].labels) == 0


def test_tsu_counts_frames():
    content = {
        "P01T01C01": {"subset": "training", "duration": 3000, "actions": [[7, 100, 400], [50, 0, 3000]]},
        "P02T01C01": {"subset": "testing", "duration": 1500, "actions": []},
    }
    annotations = settle(read_tsu(stream(content), "tsu.json", fps=20.0), "tsu.json")
    assert annotations.videos.to_pylist()[0] == {
        "video_id": "P01T01C01",
        "subset": "training",
        "duration": 150.0,
        "fps": 20.0,
    }
    assert [tuple(row.values())[1:] for row in annotations.instances.to_pylist()] == [
        (5.0, 20.0, "7"),
        (0.0, 150.0, "50"),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "Input should be an object"),
        ({"v1": 7}, "video 'v1': Input should be an object"),
        ({"v1": {"subset": "training", "duration": 1.0}}, "video 'v1', actions: Field required"),
        (
            {"v1": {"subset": "training", "duration": -1.0, "actions": []}},
            "video 'v1', duration: Input should be greater than 0.000001, not -1.0",
        ),
        (
            {"v1": {"subset": "training", "duration": 1.0, "actions": [[1, 0, 1], ["x", 0, 1]]}},
            r"video 'v1', actions\[1\]\[0\]: Input should be a valid integer, not 'x'",
        ),
        (
            {"v1": {"subset": "training", "duration": 1.0, "actions": [[1, 0]]}},
            r"video 'v1', actions\[0\]\[2\]: Field required",
        ),
    ],
)
@pytest.mark.parametrize("read", [read_actions_json, lambda *given: read_tsu(*given, fps=20.0)])
def test_a_malformed_file_is_one_line_naming_file_video_and_field(read, content, told):
    with pytest.raises(InputError, match=rf"^mine.json: {told}") as error:
        read(stream(content), "mine.json")
    assert "\n" not in str(error.value)
