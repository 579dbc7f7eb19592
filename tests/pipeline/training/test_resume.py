"""A run goes on only as what it was begun as."""

import json
import logging
from dataclasses import replace

import pytest

from pipeline.detector.checkpoint import CheckpointInfo, Progress
from pipeline.errors import InputError
from pipeline.training.plan import TrainingPlan, make_plan
from pipeline.training.resume import check_continues
from pipeline.training.settings import TrainConfig
from tests.pipeline.synthetic import LABELS, SPEC, make_videos, write_annotations, write_store

MATCH = {"classification": 2.0, "l1": 5.0, "tiou": 2.0}
VALUES = {
    "run": "/run", "model": {"name": "deformable_detr", "dim": 16}, "loss": {"match": MATCH},
    "windows": {"length": 32, "train_step": 8, "test_step": 16}, "validate_every": 0,
}  # fmt: skip


@pytest.fixture
def plan(tmp_path) -> TrainingPlan:
    videos = make_videos(3, "train", seed=1)
    write_annotations(str(tmp_path / "truth.json"), videos)
    store = write_store(str(tmp_path / "store"), videos)
    places = {"store": str(tmp_path / "store"), "dataset": {"annotations": str(tmp_path / "truth.json")}}
    return make_plan(TrainConfig.model_validate(VALUES | places), store)


@pytest.fixture
def checkpoint(plan: TrainingPlan) -> CheckpointInfo:
    return CheckpointInfo(
        url="/run/checkpoints/epoch_00002",
        progress=Progress(2, 8, ({"epoch": 2, "windows": len(plan.windows)},)),
        labels=LABELS,
        feature_spec=SPEC,
        config=plan.config.model_dump(mode="json"),
        files={},
    )


def changed(plan: TrainingPlan, **values: object) -> TrainingPlan:
    return replace(plan, config=TrainConfig.model_validate(plan.config.model_dump() | values))


def test_the_same_command_continues(checkpoint: CheckpointInfo, plan: TrainingPlan) -> None:
    check_continues(checkpoint, plan)


def test_places_and_resources_may_change(checkpoint: CheckpointInfo, plan: TrainingPlan) -> None:
    free = {"run": "/moved", "workers": 4, "cache_mb": 10, "validate_every": 2, "ray": {"cpus": 3}}
    check_continues(checkpoint, changed(plan, **free))


def test_more_epochs_are_welcome_and_fewer_are_not(checkpoint: CheckpointInfo, plan: TrainingPlan) -> None:
    check_continues(checkpoint, changed(plan, optimiser={"epochs": 50}))
    with pytest.raises(InputError, match=r"optimiser\.epochs was 35, is 10"):
        check_continues(checkpoint, changed(plan, optimiser={"epochs": 10}))


def test_a_run_of_another_version_goes_on(checkpoint: CheckpointInfo, plan: TrainingPlan) -> None:
    config = json.loads(json.dumps(checkpoint.config))
    config["optimiser"]["was_a_key_once"] = 1
    config["so_was_this"] = {"deep": True}
    del config["loss"]["name"], config["keep_checkpoints"], config["windows"]["keep_empty"]
    check_continues(replace(checkpoint, config=config), plan)
    config["windows"]["keep_empty"] = True
    with pytest.raises(InputError, match=r"\(windows\.keep_empty was True, is False\)"):
        check_continues(replace(checkpoint, config=config), plan)


def test_other_settings_are_shown(checkpoint: CheckpointInfo, plan: TrainingPlan) -> None:
    model = {"name": "deformable_detr", "dim": 16, "dropout": 0.2}
    other = changed(plan, seed=7, loss={"match": MATCH | {"l1": 4.0}}, model=model)
    with pytest.raises(
        InputError,
        match=r"\(loss\.match\.l1 was 5\.0, is 4\.0; model\.dropout was 0\.1, is 0\.2; seed was 42, is 7\)",
    ):
        check_continues(checkpoint, other)


def test_other_features_are_shown(checkpoint: CheckpointInfo, plan: TrainingPlan) -> None:
    other = replace(checkpoint, feature_spec=replace(SPEC, backbone="other"))
    with pytest.raises(InputError, match="backbone: other here, synthetic there"):
        check_continues(other, plan)


def test_other_classes_are_shown(checkpoint: CheckpointInfo, plan: TrainingPlan) -> None:
    with pytest.raises(InputError, match=r"begun with other classes \(1, first \('run',\)"):
        check_continues(replace(checkpoint, labels=("run",)), plan)


def test_other_windows_are_used_with_a_warning(
    checkpoint: CheckpointInfo, plan: TrainingPlan, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        check_continues(checkpoint, replace(plan, windows=plan.windows[:-1]))
    assert f"had {len(plan.windows)} training windows, now there are {len(plan.windows) - 1}" in caplog.text
