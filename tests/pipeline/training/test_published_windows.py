"""THUMOS14's zero-shot windows as GAP's released code cuts them, on an excerpt of the published files."""

import json
from pathlib import Path

import pytest

from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig, ZeroShotConfig
from pipeline.detector.settings import WindowConfig
from pipeline.features.timeline import Timeline
from pipeline.features.video_features import VideoFeatures
from pipeline.training.targets import label_windows

DATA = Path(__file__).parents[1] / "annotations" / "data"
TRUTH = json.loads((DATA / "thumos14_zero_shot_excerpt.json").read_text())["database"]
INFO = json.loads((DATA / "thumos14_info_excerpt.json").read_text())
DATASET = DatasetConfig(
    annotations=str(DATA / "thumos14_zero_shot_excerpt.json"),
    train_subset="val",
    test_subset="test",
    min_seconds=0.2667,
    zero_shot=ZeroShotConfig(lists="thumos14_50", split_id=0),
)


def loop_written(video_id: str, labels: tuple[str, ...], step: int, last: str) -> list[tuple[int, int]]:
    """(first snippet, instances) of each window that shows an instance: one thing after the other, in seconds."""
    info = INFO[video_id]
    count, rate = info["snippet_length"], info["video_fps"] / 8
    slices = []
    start = 0
    while start + 128 <= count:
        slices.append((start, start + 127))
        start += step
    if not slices:
        slices = [(0, count - 1)]
    elif slices[-1][1] < count - 1:
        slices.append((count - 128 if last == "shift" else start, count - 1))
    found = []
    for first, final in slices:
        begin, end = first / rate, final / rate
        shown = 0
        for instance in TRUTH[video_id]["annotations"]:
            s, e = instance["segment"]
            if instance["label"] not in labels or e - s <= 1 / rate or e <= begin or s >= end:
                continue
            shown += (min(e, end) - max(s, begin)) / (e - s) >= 0.75
        if shown:
            found.append((first, shown))
    return found


@pytest.mark.parametrize(("subset", "step", "last"), [("val", 32, "shift"), ("test", 96, "pad")])
def test_windows_and_instances_are_those_of_the_released_code(subset: str, step: int, last: str) -> None:
    truth = read_subset(DATASET, subset)
    config = WindowConfig(length=128, train_step=step, train_last=last, ends_early=True)
    ids = truth.videos["video_id"].to_pylist()
    videos = [
        VideoFeatures(
            video_id, "", info["snippet_duration"], Timeline(info["video_fps"], 8, 8), info["snippet_length"],
            (), None, lost_chunks=(),
        )
        for video_id, info in INFO.items()
        if video_id in ids
    ]  # fmt: skip
    labelled = label_windows(videos, truth, config)
    found = [(item.window.video_id, item.window.start, len(item.labels)) for item in labelled]
    expected = [
        (video.video_id, *window)
        for video in videos
        for window in loop_written(video.video_id, truth.labels, step, last)
    ]
    assert found == expected
    assert found
