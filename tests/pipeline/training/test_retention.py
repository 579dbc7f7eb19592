"""Old checkpoints go, those that count stay, whoever had forgotten them."""

import logging
from pathlib import Path

import pytest

from pipeline import storage
from pipeline.detector.checkpoint import CHECKPOINTS, Progress
from pipeline.errors import InputError
from pipeline.training import retention
from pipeline.training.retention import delete_outdated, outdated

HISTORY = tuple(
    {"epoch": epoch} | ({"det_map": score} if score is not None else {})
    for epoch, score in enumerate((0.3, 0.5, 0.5, None, 0.1, 0.2), start=1)
)
NAMES = {f"epoch_{epoch:05d}" for epoch in range(1, 8)}


def kept(keep: int, history: tuple[dict[str, float], ...] = HISTORY) -> list[int]:
    gone = outdated(NAMES | {"notes", "epoch_x"}, Progress(6, 60, history), keep)
    return [int(name[-2:]) for name in sorted(NAMES - gone)]


def test_the_best_stay_beside_the_last_and_what_comes_later() -> None:
    assert kept(1) == [3, 6, 7]
    assert kept(2) == [2, 3, 6, 7]
    assert kept(3) == [1, 2, 3, 6, 7]


def test_without_scores_the_one_before_the_last_stays() -> None:
    assert kept(1, tuple({"epoch": epoch} for epoch in range(1, 7))) == [5, 6, 7]


@pytest.mark.parametrize("place", ["local", "s3"])
def test_what_was_forgotten_is_deleted_and_nothing_else(
    place: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run = (
        str(tmp_path)
        if place == "local"
        else f"{request.getfixturevalue('s3_server')}/retention-{tmp_path.name}"
    )
    folder = storage.join(run, CHECKPOINTS)
    begun = [
        "epoch_00001/model.safetensors", "epoch_00002/optimiser.safetensors", "epoch_00002/checkpoint.json",
        "checkpoint_manager_snapshot.json", ".validate_storage_marker",
    ]  # fmt: skip
    stays = [
        "epoch_00003/checkpoint.json",
        "epoch_00006/checkpoint.json",
        "epoch_00007/model.safetensors",
        "notes/a",
    ]
    for name in begun + stays:
        storage.write_bytes(storage.join(folder, name), b"content")
    delete_outdated(run, Progress(6, 60, HISTORY), keep=1)
    left = [file.url.split(f"/{CHECKPOINTS}/")[1] for file in storage.list_files(folder)]
    assert left == sorted(stays)


def test_storage_that_is_away_only_postpones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(url: str) -> None:
        raise InputError(f"{url}: cannot be reached")

    monkeypatch.setattr(retention.storage, "list_files", away)
    with caplog.at_level(logging.WARNING):
        delete_outdated(str(tmp_path), Progress(6, 60, HISTORY), keep=1)
    assert "older checkpoints are left for now" in caplog.text
