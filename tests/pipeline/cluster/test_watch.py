"""A local Ray does not start where its logs would not fit."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.cluster.watch import check_room
from pipeline.errors import InputError


def test_a_disk_without_room_is_told_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "not" / "made"))
    check_room()
    looked_at = []

    def full(folder: Path) -> SimpleNamespace:
        looked_at.append(folder)
        return SimpleNamespace(free=50 * 2**20)

    monkeypatch.setattr(shutil, "disk_usage", full)
    with pytest.raises(
        InputError, match=r"RAY_TMPDIR=.*made: has 50 MiB free, .* needs 200 MiB there; free space"
    ):
        check_room()
    assert looked_at == [tmp_path]
