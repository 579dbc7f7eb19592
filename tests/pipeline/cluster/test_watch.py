"""A local Ray does not start where its logs would not fit, and ends the job where it breaks, not where it is ended."""

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline import stopping
from pipeline.cluster import watch as watching
from pipeline.cluster.watch import check_room, end_watch, watch
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


class Node:
    """A local Ray of two processes, one of which is found dead."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.looks = threading.Semaphore(0)
        self.go_on = threading.Event()

    def get_temp_dir_path(self) -> str:
        return str(self.folder)

    def any_processes_alive(self) -> bool:
        return True

    def dead_processes(self) -> list[tuple[str, None]]:
        self.looks.release()
        self.go_on.wait(30)
        return [("raylet", None)]


@pytest.mark.parametrize("ended", [False, True])
def test_a_process_that_dies_ends_the_job_unless_ray_was_told_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    monkeypatch.setattr(watching, "_SECONDS_BETWEEN_LOOKS", 0.01)
    told: list[str] = []
    monkeypatch.setattr(stopping, "stop", lambda reason, status: told.append(reason))
    node, before = Node(tmp_path), set(threading.enumerate())
    watch(node)
    [thread] = set(threading.enumerate()) - before
    assert node.looks.acquire(timeout=30)
    if ended:
        end_watch()  # just when it looks
    node.go_on.set()
    thread.join(30)
    assert told == ([] if ended else ["Ray's own process on this machine died (raylet)"])
