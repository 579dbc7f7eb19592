"""Trackers of experiments: what they get, that a run goes on in them, and that none of them ends a run."""

import json
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.training.settings import TrainConfig
from pipeline.training.standing import Point
from pipeline.training.trackers import check_trackers, tracked

POINTS = [Point(10, {"train/total": 2.0}), Point(20, {"train/total": 1.0, "epoch/det_map": 0.5})]


def config(folder: Path, *track: str) -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "run": str(folder / "my_run"), "store": "/store", "dataset": {"annotations": "/truth.json"},
            "model": {"name": "deformable_detr"}, "loss": {"name": "deformable_detr"}, "track": track,
        }
    )  # fmt: skip


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Modules that keep what they were told; the calls are those of MLflow's and W&B's documentation."""
    told: list[tuple[Any, ...]] = []
    mlflow: Any = ModuleType("mlflow")
    mlflow.set_experiment = lambda name: told.append(("experiment", name))
    mlflow.log_params = lambda values: told.append(("params", len(values), values.get("optimiser.lr")))
    mlflow.log_metrics = lambda values, step: told.append(("metrics", values, step))
    mlflow.end_run = lambda: told.append(("end",))

    def start_run(run_id: str | None = None, run_name: str | None = None) -> Any:
        told.append(("start", run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "m1"))

    mlflow.start_run = start_run
    wandb: Any = ModuleType("wandb")

    def init(**how: Any) -> Any:
        told.append(("init", how["id"], how["resume"], how["name"], how["config"]["optimiser.lr"]))
        return SimpleNamespace(
            id=how["id"] or "w1",
            log=lambda values, step: told.append(("log", values, step)),
            finish=lambda: told.append(("finish",)),
        )

    wandb.init = init
    for module in (mlflow, wandb):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return told


def test_a_run_is_tracked_and_goes_on_under_its_id(tmp_path: Path, fakes: list[tuple[Any, ...]]) -> None:
    for _ in range(2):
        with tracked(config(tmp_path, "mlflow", "wandb")) as log:
            assert log is not None
            for point in POINTS:
                log(point)
        fakes.append(("again",))
    first, second = fakes[: fakes.index(("again",))], fakes[fakes.index(("again",)) + 1 :]
    assert ("experiment", "raytad") in first
    assert ("start", None, "my_run") in first
    assert [call[2] for call in first if call[0] == "params"].count("0.0001") == 1
    assert ("init", None, "allow", "my_run", 1e-4) in first
    assert [call[1:] for call in first if call[0] == "metrics"] == [(p.figures, p.step) for p in POINTS]
    assert [call[1:] for call in first if call[0] == "log"] == [(p.figures, p.step) for p in POINTS]
    assert {("end",), ("finish",)} <= set(first[-2:])
    assert ("start", "m1", None) in second
    assert ("init", "w1", "allow", "my_run", 1e-4) in second
    assert not [call for call in second if call[0] == "params"]  # MLflow refuses them twice
    assert json.loads((tmp_path / "my_run" / "trackers.json").read_text()) == {"mlflow": "m1", "wandb": "w1"}


def test_a_tracker_that_fails_gets_a_line_and_no_more(
    tmp_path: Path,
    fakes: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(values: Any, step: int) -> None:
        raise ConnectionError("the server\nis away")

    monkeypatch.setattr(sys.modules["mlflow"], "log_metrics", refuse)
    with caplog.at_level(logging.WARNING), tracked(config(tmp_path, "mlflow", "wandb")) as log:
        assert log is not None
        for point in POINTS:
            log(point)
    assert caplog.messages == ["track=mlflow: gets no more of this run (the server is away); the run goes on"]
    assert len([call for call in fakes if call[0] == "log"]) == 2


def test_one_that_is_not_installed_is_told_before_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^track=wandb: is not installed; pip install 'raytad\[wandb\]'"):
        check_trackers(config(tmp_path, "wandb"))
    check_trackers(config(tmp_path))
