"""Real runs by Ray Train: any number of workers, stopped and continued, and stopped for good."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipeline import storage
from pipeline.compose import compose_config
from pipeline.detector.build import build
from pipeline.detector.checkpoint import load_weights
from pipeline.detector.checkpoint_search import last_checkpoint
from pipeline.errors import InputError
from pipeline.features.store import FeatureStore
from pipeline.training import run as run_module
from pipeline.training.plan import TrainingPlan, make_plan
from pipeline.training.run import train
from pipeline.training.settings import TrainConfig
from tests.pipeline.synthetic import (
    LABELS,
    SPEC,
    TINY_DETECTOR,
    TINY_MODEL,
    features_of,
    write_store,
)
from tests.pipeline.training.conftest import VIDEOS


def config(archive: Path, run: str, **changes: object) -> TrainConfig:
    words = [
        f"run={run}", f"store={archive / 'store'}", f"dataset.annotations={archive / 'truth.json'}",
        *(f"model.{key}={value}" for key, value in TINY_MODEL.items()),
        "windows.length=32", "windows.train_step=8", "windows.test_step=16", "normalise=standardise",
        "loss.deep_supervision=false",  # so that some heads have no gradient, which DDP does not forgive
        "optimiser.lr=1e-3", "optimiser.drop_epochs=[2]", "validate_every=3",
        *(f"{key}={value}" for key, value in changes.items()),
    ]  # fmt: skip
    return compose_config("train", TrainConfig, words)


def uneven_batch(archive: Path) -> int:
    """A batch size that leaves one window for the last step, so that of two workers one has none."""
    plan = make_plan(config(archive, "anywhere"), FeatureStore(str(archive / "store")))
    return next(size for size in range(3, 12) if len(plan.windows) % size == 1)


def outputs(run: str) -> torch.Tensor:
    """What the run's last detector says about fixed features."""
    info = last_checkpoint(run)
    assert info is not None
    model = build(TINY_DETECTOR, SPEC.dim, len(LABELS), bf16=False).eval()
    load_weights(info, model)
    features = torch.from_numpy(np.stack([features_of(video)[:32] for video in VIDEOS])).float()
    with torch.no_grad():
        final = model(features, torch.zeros(features.shape[:2], dtype=torch.bool)).final
    return torch.cat([final.segments, final.logits], dim=-1)


@pytest.fixture(scope="module")
def straight(archive: Path, ray_local: None) -> str:
    """Three epochs by one worker without a stop."""
    run = str(archive / "straight")
    summary = train(
        config(archive, run, **{"optimiser.epochs": 3, "optimiser.batch_size": uneven_batch(archive)})
    )
    assert (summary.done, summary.already_done, summary.exit_status) == (3, 0, 0)
    return run


def test_two_workers_stopped_and_continued_by_one_on_object_storage_learn_the_same(
    archive: Path, straight: str, s3_server: str
) -> None:
    run = f"{s3_server}/stopped-run"
    size = {"optimiser.batch_size": uneven_batch(archive)}
    train(config(archive, run, workers=2, **size, **{"optimiser.epochs": 2}))
    # What a kill may leave: Ray's list of checkpoints cut short, and a checkpoint that was only begun.
    storage.write_bytes(f"{run}/checkpoints/checkpoint_manager_snapshot.json", b'{"checkpoint_res')
    storage.write_bytes(f"{run}/checkpoints/epoch_00003/optimiser.safetensors", b"half")
    summary = train(config(archive, run, **size, **{"optimiser.epochs": 3}))
    assert (summary.done, summary.already_done) == (1, 2)

    torch.testing.assert_close(outputs(run), outputs(straight), rtol=1e-3, atol=1e-3)
    histories = [json.loads(storage.read_bytes(f"{r}/metrics.json"))["history"] for r in (run, straight)]
    for stopped, unstopped in zip(*histories, strict=True):
        for name in ("total", "class", "l1", "tiou", "grad_norm", "lr"):
            assert stopped[name] == pytest.approx(unstopped[name], rel=1e-3), (stopped["epoch"], name)
    assert [file.url for file in storage.list_files(f"{run}/tensorboard")]
    assert [figures["lr"] for figures in histories[0]] == pytest.approx([1e-3, 1e-3, 1e-4])


def contents(run: str) -> dict[str, bytes]:
    """What a run's files hold, but for who wrote last."""
    files = (file.url for file in storage.list_files(run) if "/lease/" not in file.url)
    return {url: storage.read_bytes(url) for url in files}


def test_a_finished_run_is_left_alone(archive: Path, straight: str) -> None:
    before = contents(straight)
    summary = train(
        config(archive, straight, **{"optimiser.epochs": 3, "optimiser.batch_size": uneven_batch(archive)})
    )
    assert (summary.done, summary.already_done) == (0, 3)
    assert before == contents(straight)


def test_what_extraction_has_lost_is_skipped_by_name(archive: Path, straight: str, tmp_path: Path) -> None:
    lost = VIDEOS[0].video_id
    write_store(str(tmp_path / "store"), VIDEOS, errors={lost: "truncated: it ends early"})
    changes = {
        "optimiser.epochs": 3,
        "optimiser.batch_size": uneven_batch(archive),
        "store": tmp_path / "store",
    }
    summary = train(config(archive, straight, **changes))
    assert summary.figures["skipped"] == "1 videos (lost before this job)"
    assert [(failure.video_id, failure.kind) for failure in summary.failures] == [(lost, "truncated")]
    assert summary.failures_in == f"store={tmp_path}/store"
    assert (summary.already_done, summary.exit_status) == (3, 0)


def test_a_damaged_checkpoint_costs_its_epochs_and_no_more(
    archive: Path, straight: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = shutil.copytree(straight, tmp_path / "run")
    checkpoints = run / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["epoch_00002", "epoch_00003"]
    optimiser = checkpoints / "epoch_00003" / "optimiser.safetensors"
    optimiser.write_bytes(optimiser.read_bytes()[:-1] + b"!")
    shutil.copytree(checkpoints / "epoch_00002", checkpoints / "epoch_00001")  # that somebody forgot
    words = {"optimiser.epochs": 3, "optimiser.batch_size": uneven_batch(archive)}
    summary = train(config(archive, str(run), **words))
    assert (summary.done, summary.already_done) == (1, 2)
    assert f"{optimiser}: damaged (its SHA-256" in caplog.text
    assert f"the run goes on from {checkpoints / 'epoch_00002'}" in caplog.text
    assert torch.equal(outputs(str(run)), outputs(straight))
    assert sorted(path.name for path in checkpoints.iterdir()) == ["epoch_00002", "epoch_00003"]


def test_a_run_is_not_continued_with_other_settings(archive: Path, straight: str) -> None:
    changed = config(archive, straight, **{"optimiser.epochs": 2, "model.dim": 32, "optimiser.batch_size": 3})
    with pytest.raises(InputError, match=r"model\.dim was 16, is 32.*optimiser\.epochs was 3, is 2"):
        train(changed)


def test_a_run_leaves_what_is_needed_to_understand_it(archive: Path, straight: str) -> None:
    written = json.loads(storage.read_bytes(f"{straight}/config.json"))
    assert TrainConfig.model_validate(written).optimiser.epochs == 3
    metrics = json.loads(storage.read_bytes(f"{straight}/metrics.json"))
    assert metrics["epochs"] == 3
    assert metrics["best"]["epoch"] == 3
    assert 0 <= metrics["best"]["det_map"] <= 1
    assert metrics["feature_digest"] == SPEC.digest
    info = last_checkpoint(straight)
    assert info is not None
    assert info.labels == LABELS
    assert len(storage.list_files(f"{straight}/checkpoints")) >= 3

    events = EventAccumulator(f"{straight}/tensorboard")
    events.Reload()
    curve = events.Scalars("epoch/total")
    assert [point.value for point in curve] == pytest.approx(
        [f["total"] for f in metrics["history"]], rel=1e-5
    )
    assert {"train/total", "train/lr", "train/grad_norm", "epoch/det_map"} <= set(events.Tags()["scalars"])


def test_a_run_that_diverges_ends_with_the_step(archive: Path, ray_local: None, tmp_path) -> None:
    # One video of one of two workers, and both must stop.
    broken = {VIDEOS[0].video_id: np.full_like(features_of(VIDEOS[0]), np.nan)}
    write_store(str(tmp_path / "store"), VIDEOS, features=broken)
    with pytest.raises(
        InputError, match=r"diverged in epoch 1, step \d+ of \d+: .* not a number; lower optimiser.lr"
    ):
        train(config(archive, str(tmp_path / "run"), store=tmp_path / "store", normalise="none", workers=2))


def test_what_a_worker_finds_wrong_with_the_input_is_one_line(
    archive: Path, ray_local: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_store(str(tmp_path / "store"), VIDEOS)
    fit = run_module._fit

    def later(plan: TrainingPlan) -> None:
        shutil.rmtree(tmp_path / "store" / "features")  # when the driver has looked at them already
        fit(plan)

    monkeypatch.setattr(run_module, "_fit", later)
    with pytest.raises(
        InputError, match=r"features/part\.parquet: not found; the same command goes on"
    ) as caught:
        train(config(archive, str(tmp_path / "run"), store=tmp_path / "store", max_failures=0))
    assert "\n" not in str(caught.value)
