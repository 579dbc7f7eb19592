"""Annotated videos meet the store's: nothing is dropped in silence."""

import logging
import pickle

import pytest
from pydantic import ValidationError

from pipeline import storage
from pipeline.annotations.settings import DatasetConfig
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.settings import WindowConfig
from pipeline.detector.windows import Window
from pipeline.errors import InputError
from pipeline.features import store as store_module
from pipeline.training.plan import make_plan
from pipeline.training.settings import TrainConfig
from tests.pipeline.synthetic import SyntheticVideo, features_of, make_videos, write_annotations, write_store

TRAIN, TEST = make_videos(5, "train", seed=1), make_videos(3, "test", seed=2)


def config(tmp_path, **changes: object) -> TrainConfig:
    values = {
        "run": str(tmp_path / "run"),
        "store": str(tmp_path / "store"),
        "dataset": DatasetConfig(annotations=str(tmp_path / "truth.json")),
        "model": {"name": "deformable_detr"},
        "loss": {},
        "windows": WindowConfig(length=32, train_step=8, test_step=16),
    }
    return TrainConfig.model_validate(values | changes)


@pytest.fixture
def annotated(tmp_path) -> None:
    write_annotations(str(tmp_path / "truth.json"), [*TRAIN, *TEST])


@pytest.mark.usefixtures("annotated")
def test_unusable_videos_are_counted_and_named(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    lost = {TRAIN[1].video_id: "decode_error: broken"}
    store = write_store(str(tmp_path / "store"), [*TRAIN[:4], *TEST], errors=lost)
    with caplog.at_level(logging.INFO):
        plan = make_plan(config(tmp_path), store)
    assert [video.video_id for video in plan.videos] == ["train_000", "train_002", "train_003"]
    assert {item.window.video_id for item in plan.windows} <= {"train_000", "train_002", "train_003"}
    assert "subset train: 3 of 5 annotated videos are usable" in caplog.text
    assert "lacks 1 (such as train_004)" in caplog.text
    assert "1 incomplete (such as train_001)" in caplog.text
    assert [(failure.video_id, failure.kind) for failure in plan.lost] == [("train_001", "decode_error")]
    assert plan.labels == ("jump", "wave")
    assert plan.validation is not None
    assert [video.video_id for video in plan.validation.videos] == ["test_000", "test_001", "test_002"]


@pytest.mark.usefixtures("annotated")
@pytest.mark.parametrize("validate_on", ["test", 0.4])
def test_annotations_are_read_once_for_training_and_validation(
    tmp_path, monkeypatch: pytest.MonkeyPatch, validate_on: object
) -> None:
    store = write_store(str(tmp_path / "store"), [*TRAIN, *TEST])
    opened: list[str] = []
    real = storage.open_read
    monkeypatch.setattr(storage, "open_read", lambda url: opened.append(url) or real(url))
    plan = make_plan(config(tmp_path, validate_on=validate_on), store)
    assert plan.validation is not None
    assert [url for url in opened if url.endswith("truth.json")] == [str(tmp_path / "truth.json")]


@pytest.mark.usefixtures("annotated")
def test_strangers_are_shown_to_each_other(tmp_path) -> None:
    renamed = [SyntheticVideo(f"v_{v.video_id}", v.duration, v.actions) for v in TRAIN]
    store = write_store(str(tmp_path / "store"), renamed)
    with pytest.raises(
        InputError, match=r"none of the 5 videos .* such as 'train_000'; it holds .* 'v_train_000'"
    ):
        make_plan(config(tmp_path), store)


def test_a_store_without_test_videos_is_not_validated(tmp_path, annotated: None) -> None:
    store = write_store(str(tmp_path / "store"), TRAIN)
    assert make_plan(config(tmp_path), store).validation is None


def test_validation_can_be_left_out(tmp_path, annotated: None) -> None:
    store = write_store(str(tmp_path / "store"), [*TRAIN, *TEST])
    assert make_plan(config(tmp_path, validate_every=0), store).validation is None


def test_videos_without_any_action_cannot_train(tmp_path) -> None:
    idle = [SyntheticVideo("idle", 20.0, ())]
    write_annotations(str(tmp_path / "truth.json"), [*idle, SyntheticVideo("other", 9.0, (), "test")])
    store = write_store(str(tmp_path / "store"), idle)
    for keep_empty in (False, True):
        windows = WindowConfig(length=32, train_step=8, test_step=16, keep_empty=keep_empty)
        with pytest.raises(InputError, match="no training window shows an action"):
            make_plan(config(tmp_path, windows=windows), store)


def test_without_classes_there_is_one(tmp_path, annotated: None) -> None:
    store = write_store(str(tmp_path / "store"), [*TRAIN, *TEST])
    plan = make_plan(config(tmp_path, class_agnostic=True), store)
    assert plan.labels == ("action",)
    assert plan.validation is not None
    assert plan.validation.labels == ("action",)
    assert plan.validation.truth.labels == ("jump", "wave")  # evaluation decides what becomes of them
    assert {label for item in plan.windows for label in item.labels} == {0}


def test_a_window_is_as_long_as_its_video_at_most(tmp_path, annotated: None) -> None:
    store = write_store(str(tmp_path / "store"), [*TRAIN, *TEST])
    windows = WindowConfig(length=500, train_step=500, test_step=500)
    plan = make_plan(config(tmp_path, windows=windows), store)
    assert {item.window.video_id: item.window.length for item in plan.windows} == {
        video.video_id: len(features_of(video)) for video in TRAIN
    }


@pytest.mark.usefixtures("annotated")
def test_a_worker_gets_the_places_of_its_videos_and_reads_no_index(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers = make_videos(300, "other", seed=9)
    store = write_store(str(tmp_path / "store"), [*TRAIN, *TEST, *strangers])
    expected = {video.video_id: store.load(video.video_id) for video in [*TRAIN, *TEST]}
    sent = pickle.dumps(make_plan(config(tmp_path), store))
    assert b"other_000" not in sent

    def never(*_: object) -> None:
        raise AssertionError("the index was read")

    monkeypatch.setattr(store_module, "read_rows", never)
    plan = pickle.loads(sent)  # noqa: S301
    assert plan.validation is not None
    cache = FeatureCache(plan.store, 1)
    for video in [*plan.videos, *plan.validation.videos]:
        window = Window(video.video_id, 0, video.num_snippets)
        assert (cache.read(window) == expected.pop(video.video_id)).all()
    assert not expected


@pytest.mark.usefixtures("annotated")
def test_a_part_of_the_training_videos_may_validate(tmp_path) -> None:
    store = write_store(str(tmp_path / "store"), [*TRAIN, *TEST])
    plans = [make_plan(config(tmp_path, validate_on=0.4, seed=seed), store) for seed in (1, 2)]
    for plan in plans:
        assert plan.validation is not None
        held_out = {video.video_id for video in plan.validation.videos}
        trained = {video.video_id for video in plan.videos}
        assert (len(held_out), len(trained)) == (2, 3)
        assert held_out | trained == {video.video_id for video in TRAIN}
        assert set(plan.validation.truth.videos["video_id"].to_pylist()) == held_out
        assert {item.window.video_id for item in plan.windows} <= trained
        assert plan.labels == ("jump", "wave")
    # The same whatever the seed, so that runs with several are compared on the same videos.
    assert len({tuple(video.video_id for video in plan.videos) for plan in plans}) == 1


@pytest.mark.usefixtures("annotated")
def test_a_subset_may_validate_by_its_name(tmp_path) -> None:
    store = write_store(str(tmp_path / "store"), [*TRAIN, *TEST])
    dataset = {"annotations": str(tmp_path / "truth.json"), "test_subset": "train"}
    plan = make_plan(config(tmp_path, validate_on="test"), store)
    named = make_plan(config(tmp_path, validate_on="TEST", dataset=dataset), store)
    assert plan.validation is not None
    assert named.validation is not None
    assert [v.video_id for v in named.validation.videos] == [v.video_id for v in plan.validation.videos]


@pytest.mark.usefixtures("annotated")
def test_a_part_too_small_to_validate_on_is_told(tmp_path) -> None:
    store = write_store(str(tmp_path / "store"), TRAIN)
    with pytest.raises(InputError, match=r"validate_on=0\.05: is 0 of 5 training videos"):
        make_plan(config(tmp_path, validate_on=0.05), store)
    with pytest.raises(ValidationError, match=r"validate_on \(1\.5\) must be a part"):
        config(tmp_path, validate_on=1.5)
