"""Settings: presets and overrides compose, and every mistake is one line that names the key."""

import importlib
import os
from pathlib import Path

import pytest

from pipeline.compose import compose_config
from pipeline.demo.settings import DemoConfig
from pipeline.errors import InputError
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.keys import described_keys
from pipeline.report.settings import ReportConfig
from pipeline.training.settings import TrainConfig
from raytad.command import VERBS

GIVEN = ["videos=/clips", "store=/store"]


def test_presets_defaults_and_overrides_compose() -> None:
    config = compose_config(
        "extract", ExtractConfig, [*GIVEN, "backbone=tiny", "backbone.batch_size=3", "timeline.fps=null"]
    )
    assert (config.backbone.name, config.backbone.batch_size) == ("tiny", 3)
    assert (config.timeline.fps, config.timeline.stride) == (None, 2)
    assert config.chunk_frames == 512


def test_steps_of_windows_follow_their_length() -> None:
    words = ["store=/s", "run=/r", "dataset.annotations=/a"]
    windows = compose_config("train", TrainConfig, [*words, "windows.length=256"]).windows
    assert (windows.train_step, windows.test_step) == (64, 192)
    given = compose_config(
        "train", TrainConfig, [*words, "windows.length=256", "windows.train_step=7"]
    ).windows
    assert (given.train_step, given.test_step) == (7, 192)


@pytest.mark.parametrize("model", [None, "deformable_detr_tiny", "tp2detr_tiny"])
def test_the_preset_for_small_data_takes_any_detector(model: str | None) -> None:
    words = ["experiment=small", "store=/s", "run=/r", "dataset.annotations=/a"]
    config = compose_config("train", TrainConfig, words if model is None else [*words, f"model={model}"])
    assert config.model.name == (model.removesuffix("_tiny") if model else "dualdetr")
    assert (config.windows.length, config.windows.train_step, config.windows.test_step) == (64, 6, 32)
    assert max(config.optimiser.drop_epochs) < config.optimiser.epochs


@pytest.mark.parametrize(
    "path",
    [
        "/a,b (1)/[x]/*.mp4", "it's", "a=b", "back\\slash", "é ü", "a\\'b", "s3://bucket/k", "end\\", "a'\\", "'tis",
        "[2019] tour", "{a: 1}", "#1", "/x/${y}/$z", "\\${y}", 'say "x"', "a\tb", "~a", "'a'b'",
    ],
)  # fmt: skip
def test_paths_are_taken_literally(path: str) -> None:
    expected = path if "://" in path else os.path.abspath(path)
    assert compose_config("extract", ExtractConfig, [f"videos={path}", "store=s"]).videos == expected


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("[a#1,b=2,c d]", ("a#1", "b=2", "c d")),
        ("[001,1e5,true,null]", ("001", "1e5", "true", "null")),
        ("video_1", ("video_1",)),
        ("a, b", ("a", "b")),
        ("[]", ()),
        ("['a,b',c]", ("a,b", "c")),
        ("[a\\,b,c]", ("a,b", "c")),
        ("[it's,\"'tis\",'say \"x\"']", ("it's", "'tis", 'say "x"')),
        ("[My Video [a,b] (1),x]", ("My Video [a,b] (1)", "x")),
        ("[x[1,y]", ("x[1", "y")),
        ("[a\\b,${c},*?]", ("a\\b", "${c}", "*?")),
        ("'a,b'", ("a,b",)),
        ("[2019] tour,b", ("[2019] tour", "b")),
        ("[a],[b]", ("[a]", "[b]")),
    ],
)
def test_lists_of_texts_need_no_quotes(value: str, ids: tuple[str, ...]) -> None:
    words = ["predictions=/p", "dataset.annotations=/a", f"videos={value}"]
    assert compose_config("report", ReportConfig, words).videos == ids


def test_words_for_the_training_of_the_demo_are_words() -> None:
    words = "words=[optimiser.drop_epochs=[3,5],model.dim=64]"
    assert compose_config("demo", DemoConfig, [words]).words == (
        "optimiser.drop_epochs=[3,5]",
        "model.dim=64",
    )


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("dataset.exclude=['a]", "dataset.exclude=['a]: a ' begins an item and does not end it; write"),
        ("dataset.exclude=[a,b", "dataset.exclude=[a,b: the list does not end; close it with ]"),
        ("seed=1#2", "seed=1#2: must be a valid integer"),
        ("seed=1,2", "seed=1,2: must be a valid integer"),
        ("optimiser.drop_epochs=3", "optimiser.drop_epochs=3: must be a list in brackets, such as [1,2]"),
        ("optimiser.drop_epochs=[3", "optimiser.drop_epochs=[3: cannot be read; a list is [1,2]"),
        ("optimiser.drop_epochs=[{a: 1}]", "optimiser.drop_epochs.0: must be a valid integer"),
        ("optimiser=5", "optimiser: is a group of keys; set them one by one, such as optimiser.lr"),
        ("windows={a: {b: 1}}", "windows: is a group of keys; set them one by one, such as windows.mode"),
        ("loss=3", "loss: is a group of keys; set them one by one, such as loss.name"),
        ("model=[1]", "model=[1]: must be one name; choose from actionformer, "),
        ("dataset=custom,demo", "dataset=custom,demo: must be one name; choose from activitynet, "),
        ("my key=1", "my key=1: not understood; settings are given as key=value"),
    ],
)
def test_what_cannot_be_read_is_a_line_without_dumps(word: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        compose_config("train", TrainConfig, ["store=/s", "run=/r", "dataset.annotations=/a", word])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert "{'" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["videos=/clips"], r"store: is required \(URL of the feature store to write\)"),
        ([*GIVEN, "stoer=/x"], "stoer: unknown key; did you mean store"),
        ([*GIVEN, "timeline.strid=4"], "timeline.strid: unknown key; did you mean timeline.stride"),
        ([*GIVEN, "backbone=nope"], "backbone=nope: no such backbone; choose from .*tiny"),
        ([*GIVEN, "timeline.stride=x"], "timeline.stride=x: must be a valid integer"),
        ([*GIVEN, "timeline.stride=0"], "timeline.stride=0: must be greater than 0"),
        ([*GIVEN, "backbone.precision=fp8"], "backbone.precision=fp8: must be 'fp32' or 'bf16'"),
        ([*GIVEN, "chunk_frames=4"], r"chunk_frames \(4\) must be at least timeline.window \(8\)"),
        (
            [*GIVEN, "timeline=4"],
            r"timeline: is a group of keys; set them one by one, such as timeline\.fps",
        ),
        ([*GIVEN, "embed.min_actors=3"], r"max_actors \(1\) must be at least min_actors \(3\)"),
        (["clips"], "clips: not understood; settings are given as key=value"),
    ],
)
def test_mistakes_are_one_line_each(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        compose_config("extract", ExtractConfig, words)
    assert "\n" not in str(caught.value)


def test_the_end_of_a_chain_is_a_path_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose_config("extract", ExtractConfig, ["videos=zip://clips::x.zip", "store=s3://b/s"])
    assert (config.videos, config.store) == (f"zip://clips::{tmp_path}/x.zip", "s3://b/s")


def test_relative_paths_are_refused_inside_a_submitted_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    with pytest.raises(InputError, match="videos=clips: a relative path would lie in the submitted job"):
        compose_config("extract", ExtractConfig, ["videos=clips", "store=s3://bucket/store"])
    assert compose_config("extract", ExtractConfig, ["videos=/clips", "store=s3://b/s"]).store == "s3://b/s"


def test_several_mistakes_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        compose_config("extract", ExtractConfig, ["timeline.stride=0", "shard_mb=-1", *GIVEN])
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("verb", VERBS)
def test_every_key_is_described_in_a_few_words(verb: str) -> None:
    for key, field in described_keys(importlib.import_module(f"jobs.{verb}").JOB.config_type):
        assert field.description, key
        assert len(field.description) < 90, key
