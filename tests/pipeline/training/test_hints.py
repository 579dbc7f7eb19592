"""A run that is hopeless is told before it begins, and a sound one is left in peace."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.annotations.settings import DatasetConfig
from pipeline.detector.settings import WindowConfig
from pipeline.training.hints import training_hints
from pipeline.training.plan import make_plan
from pipeline.training.settings import OptimiserConfig, TrainConfig
from tests.pipeline.synthetic import (
    SyntheticVideo,
    features_of,
    make_videos,
    write_annotations,
    write_store,
)

# 60 to 100 snippets of a quarter second, actions of 2 to 5 seconds.
VIDEOS = [*make_videos(20, "train", seed=1), *make_videos(3, "test", seed=2)]


def hints(
    tmp_path: Path,
    videos: list[SyntheticVideo] = VIDEOS,
    features: dict[str, np.ndarray] | None = None,
    **changes: object,
) -> list[str]:
    write_annotations(f"{tmp_path}/truth.json", videos)
    store = write_store(f"{tmp_path}/store", videos, features=features)
    values = {
        "run": f"{tmp_path}/run",
        "store": f"{tmp_path}/store",
        "dataset": DatasetConfig(annotations=f"{tmp_path}/truth.json"),
        "model": {"name": "deformable_detr"},
        "loss": {},
        "windows": WindowConfig(length=32, train_step=4),
        "optimiser": OptimiserConfig(batch_size=8),
    }
    return training_hints(make_plan(TrainConfig.model_validate(values | changes), store))


def only(lines: list[str]) -> str:
    [line] = lines
    assert "\n" not in line
    assert "{" not in line
    return line


def test_a_sound_run_gets_no_hint(tmp_path: Path) -> None:
    assert hints(tmp_path) == []


def test_few_windows_and_few_steps_are_told_apart(tmp_path: Path) -> None:
    few = only(
        hints(tmp_path / "windows", windows=WindowConfig(length=32), optimiser=OptimiserConfig(epochs=900))
    )
    assert few.startswith("only ")
    assert "training windows (less than 100" in few
    assert few.endswith("windows overlap more: windows.train_step=3 instead of 8")
    dense = {"windows": WindowConfig(length=32, train_step=3), "optimiser": OptimiserConfig(epochs=900)}
    assert only(hints(tmp_path / "dense", VIDEOS[15:], **dense)).endswith(
        "teach little); annotate more videos"
    )
    steps = only(hints(tmp_path / "steps", optimiser=OptimiserConfig(batch_size=8, epochs=3)))
    assert "optimiser steps in all (" in steps
    assert "raise optimiser.epochs" in steps


def test_windows_that_do_not_suit_the_actions_are_told_with_a_length(tmp_path: Path) -> None:
    # 400 s, 1600 snippets; half of the actions last at most 2 s, 8 snippets.
    starts = [20.0 * number for number in range(19)]
    long = [
        SyntheticVideo(f"{subset}_{n}", 400.0, tuple((start + n, start + n + 2, "jump") for start in starts), subset)
        for subset, count in (("train", 6), ("test", 1))
        for n in range(count)
    ]  # fmt: skip
    long[0] = replace(long[0], actions=(*long[0].actions[:-1], (390.0, 394.0, "wave")))
    lost = only(hints(tmp_path / "lost", long, windows=WindowConfig(length=1024, train_step=16)))
    assert lost.startswith(
        "windows.length=1024 is some 128 times as long as half of the actions (2 s or less)"
    )
    assert lost.endswith("try windows.length=64")
    whole = hints(tmp_path / "whole", long, windows=WindowConfig(mode="rescale", length=128))
    assert any(line.endswith("try windows.mode=sliding windows.length=64") for line in whole)
    # A window of 4 snippets, 1 s, shows three quarters of the actions of 1.2 s, which are the fewer, and of no other.
    mixed = [
        replace(
            video,
            actions=(
                *video.actions,
                *((a + 5, a + 6.2, "jump") for a, _, _ in video.actions[:9]),
                (396, 397.2, "wave"),
            ),
        )
        for video in long
    ]
    short = only(hints(tmp_path / "short", mixed, windows=WindowConfig(length=4, train_step=1)))
    assert short.startswith("windows.length=4 is too short for half of the actions (2 s or more)")
    assert "try windows.length=16" in short
    covered = WindowConfig(length=4, train_step=1, min_window_cover=0.5)
    assert hints(tmp_path / "covered", mixed, windows=covered) == []


def test_classes_without_examples_are_named(tmp_path: Path) -> None:
    jumps = [
        replace(video, actions=tuple((start, end, "jump") for start, end, _ in video.actions))
        if video.subset == "train"
        else video
        for video in VIDEOS
    ]
    tested = only(hints(tmp_path / "tested", jumps))
    assert tested.startswith("1 of 2 classes have examples in the subset test but none to train on")
    assert "cannot be found: wave; share" in tested
    assert only(hints(tmp_path / "untested", jumps, validate_every=0)).startswith(
        "1 of 2 classes have no training example: wave; leave them out of dataset.classes"
    )
    assert hints(tmp_path / "agnostic", jumps, class_agnostic=True) == []


def test_of_many_classes_five_are_named(tmp_path: Path) -> None:
    write_annotations(f"{tmp_path}/truth.json", VIDEOS)
    known = json.loads((tmp_path / "truth.json").read_text())
    known["classes"] += [f"class {n}" for n in range(7)]
    store = write_store(f"{tmp_path}/store", VIDEOS)
    (tmp_path / "more.json").write_text(json.dumps(known))
    config = TrainConfig.model_validate(
        {
            "run": f"{tmp_path}/run", "store": f"{tmp_path}/store", "model": {"name": "deformable_detr"}, "loss": {},
            "dataset": {"annotations": f"{tmp_path}/more.json"}, "windows": {"length": 32, "train_step": 4},
            "optimiser": {"batch_size": 8},
        }
    )  # fmt: skip
    line = only(training_hints(make_plan(config, store)))
    assert (
        "7 of 9 classes have no training example: class 0, class 1, class 2, class 3, class 4 and 2 more;"
        in line
    )


@pytest.mark.parametrize(
    ("dead", "said"),
    [
        (slice(0, 4), r"features are 0.5 throughout (in all "),
        (slice(0, 3), None),  # a channel of four still tells something
    ],
)
def test_features_that_are_the_same_everywhere_are_told(
    tmp_path: Path, dead: slice, said: str | None
) -> None:
    features = {}
    for video in VIDEOS:
        features[video.video_id] = features_of(video)
        features[video.video_id][:, dead] = 0.5
    lines = hints(tmp_path, features=features)
    if said is None:
        assert lines == []
    else:
        line = only(lines)
        assert line.startswith(f"store={tmp_path}/store: {said}")
        assert "extract them with other backbone.weights" in line
