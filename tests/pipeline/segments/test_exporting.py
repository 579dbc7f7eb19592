"""The segment table in the forms of other tools."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.compose import compose_config
from pipeline.segments.exporting import export_segments
from pipeline.segments.read import read_segments
from pipeline.segments.settings import ExportSegmentsConfig
from pipeline.segments.tables import ordered
from pipeline.summary import Summary
from tests.pipeline.evaluation.cases import segments_table
from tests.videos import encode_video

ROWS = [("a/b", 1.0, 2.5, "run", 0.9), ("a/b", 5.0, 6.0, "jump", 0.2), ("w", 0.0, 3.0, "run", 0.8)]


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    (tmp_path / "found" / "segments").mkdir(parents=True)
    pq.write_table(segments_table(ROWS), tmp_path / "found" / "segments" / "part.parquet")
    return tmp_path / "found"


def export(predictions: Path, form: str, *words: str) -> tuple[Path, Summary]:
    out = predictions.parent / form
    given = [f"predictions={predictions}", f"format={form}", f"out={out}", *words]
    return out, export_segments(compose_config("export_segments", ExportSegmentsConfig, given))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_activitynet_and_csv_hold_everything(predictions: Path) -> None:
    out, summary = export(predictions, "activitynet")
    assert ordered(read_segments(str(out / "activitynet.json"))).equals(ordered(segments_table(ROWS)))
    assert summary.outputs == {"activitynet.json": str(out / "activitynet.json")}
    assert summary.figures == {"segments": "3 of 3"}
    out, _ = export(predictions, "csv", "min_score=0.5")
    with open(out / "segments.csv", newline="") as stream:
        assert [(row["video_id"], row["score"]) for row in csv.DictReader(stream)] == [
            ("a/b", "0.9"),
            ("w", "0.8"),
        ]


def test_each_video_has_its_subtitles(predictions: Path) -> None:
    out, summary = export(predictions, "webvtt")
    assert files(out) == {"a/b.vtt", "w.vtt"}
    assert (out / "a" / "b.vtt").read_text() == (
        "WEBVTT\n\nNOTE a score of 0.8 or more (where the scores divide best)\n\n"
        "00:00:01.000 --> 00:00:02.500\nrun 0.9\n"
    )
    assert (summary.done, summary.figures["segments"].split(",")[0]) == (2, "2 of 3")


def test_annotators_get_the_likely_ones_and_the_files(predictions: Path) -> None:
    encode_video(predictions.parent / "clips" / "a" / "b.mp4", seconds=0.5)
    clips = predictions.parent / "clips"
    out, _ = export(predictions, "label_studio", f"videos=[{clips}]", "fps=10")
    assert files(out) == {"label_studio.json", "label_studio.xml"}
    tasks = json.loads((out / "label_studio.json").read_text())
    assert [task["data"] for task in tasks] == [
        {"video": str(clips / "a" / "b.mp4"), "video_id": "a/b", "fps": 10.0},
        {"video": "w", "video_id": "w", "fps": 10.0},
    ]
    assert [len(task["predictions"][0]["result"]) for task in tasks] == [1, 1]
    out, _ = export(predictions, "via", "min_score=0")
    assert len(json.loads((out / "via.json").read_text())["metadata"]) == 3
