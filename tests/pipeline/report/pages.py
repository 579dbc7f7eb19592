"""Reports of small made-up predictions, written by the job's own function."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.compose import compose_config
from pipeline.report.run import report
from pipeline.report.settings import ReportConfig
from tests.pipeline.evaluation.cases import segments_table
from tests.videos import encode_video

SECONDS = 30.0
# (start, end, label) of what is true in each video.
TRUTH = {
    "a": [(2.0, 6.0, "jump"), (10.0, 14.0, "run"), (20.0, 28.0, "run")],
    "b": [(5.0, 9.0, "swim")],
    "c": [(1.0, 4.0, "jump")],
}
# (video, start, end, label, score)
FIRST = [
    ("a", 2.5, 6.0, "jump", 0.9), ("a", 10.0, 14.5, "run", 0.8), ("a", 10.5, 14.0, "run", 0.4),
    ("a", 20.0, 27.0, "jump", 0.7), ("b", 5.0, 9.5, "swim", 0.6), ("b", 15.0, 18.0, "swim", 0.2),
    ("c", 20.0, 22.0, "run", 0.5), ("c", 3.0, 8.0, "jump", 0.3),
]  # fmt: skip
SECOND = [("a", 2.0, 6.0, "jump", 0.5), ("b", 5.0, 9.0, "swim", 0.9)]


def write_truth(
    path: Path, truth: Mapping[str, Sequence[tuple[float, float, str]]], seconds: float = SECONDS
) -> None:
    """An ActivityNet file of videos that all last so long, of subset `test`."""
    database = {
        video: {
            "subset": "test",
            "duration": seconds,
            "annotations": [{"segment": [start, end], "label": label} for start, end, label in actions],
        }
        for video, actions in truth.items()
    }
    path.write_text(json.dumps({"database": database}))


def write_page(folder: Path, *words: str) -> Path:
    """What `report` writes into `folder` by these words, without pictures: the page."""
    report(compose_config("report", ReportConfig, [f"out={folder}", "pictures=[]", *words]))
    return folder / "index.html"


def write_demo_page(folder: Path, *words: str) -> Path:
    """The page of two runs in three videos with truth, and files to play."""
    write_truth(folder / "truth.json", TRUTH)
    for name, rows in (("first", FIRST), ("second", SECOND)):
        pq.write_table(segments_table(rows), folder / f"{name}.parquet")
    for number, video in enumerate(TRUTH):
        encode_video(folder / "videos" / f"{video}.mp4", seconds=SECONDS, fps=6, seed=number)
    return write_page(
        folder / "report",
        f"predictions=[{folder / 'first.parquet'},{folder / 'second.parquet'}]",
        f"dataset.annotations={folder / 'truth.json'}",
        f"videos={folder / 'videos'}",
        *words,
    )
