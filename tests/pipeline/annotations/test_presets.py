"""Dataset presets read the files that they are for."""

from pathlib import Path

import pytest

from pipeline.annotations.read import read_subset
from pipeline.annotations.settings import DatasetConfig
from pipeline.compose import compose_config, group_options
from pipeline.errors import InputError
from pipeline.evaluation.settings import EvaluateConfig
from pipeline.training.settings import TrainConfig

DATA = Path(__file__).with_name("data")


def preset(name: str, annotations: str, *words: str) -> DatasetConfig:
    words = ("predictions=/p", f"dataset={name}", f"dataset.annotations={annotations}", *words)
    return compose_config("evaluate", EvaluateConfig, words).dataset


@pytest.mark.parametrize(
    ("name", "file", "train", "test"),
    [
        ("thumos14", "thumos14_zero_shot_excerpt.json", 4, 2),
        ("multithumos", "multithumos_excerpt.json", 3, 3),
        ("charades", "charades_excerpt.json", 7, 2),
    ],
)
def test_presets_find_their_subsets(name: str, file: str, train: int, test: int) -> None:
    dataset = preset(name, str(DATA / file))
    assert read_subset(dataset, dataset.train_subset).videos.num_rows == train
    assert read_subset(dataset, dataset.test_subset, raw=True).videos.num_rows == test


@pytest.mark.parametrize("name", group_options("dataset"))
def test_every_preset_composes(name: str) -> None:
    assert preset(name, "/truth/*.json").annotations == "/truth/*.json"


def test_zero_shot_settings_come_from_the_command_line() -> None:
    words = (
        "dataset.zero_shot.lists=thumos14_50",
        "dataset.zero_shot.split_id=3",
        "dataset.min_seconds=0.2667",
    )
    dataset = preset("thumos14", "/truth.json", *words)
    assert (dataset.zero_shot.lists, dataset.zero_shot.split_id) == ("thumos14_50", 3)
    assert dataset.zero_shot.active
    with pytest.raises(InputError, match="split_id"):
        preset("thumos14", "/truth.json", "dataset.zero_shot.split_id=10")


def test_zero_shot_training_is_class_agnostic() -> None:
    words = [
        "run=/r",
        "store=/s",
        "dataset=thumos14",
        "dataset.annotations=/t",
        "dataset.zero_shot.seen_fraction=0.5",
    ]
    assert compose_config("train", TrainConfig, [*words, "class_agnostic=true"]).dataset.zero_shot.active
    with pytest.raises(InputError, match="needs class_agnostic=true"):
        compose_config("train", TrainConfig, words)
