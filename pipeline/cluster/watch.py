"""Watching the local Ray: on a full disk, or without its raylet, it neither goes on nor ends."""

import atexit
import os
import shutil
import threading
from pathlib import Path
from typing import Any

from pipeline import stopping
from pipeline.errors import InputError
from pipeline.summary import EXIT_BROKEN

_SECONDS_BETWEEN_LOOKS = 3.0
_ROOM_TO_START = 200 * 2**20
_ROOM_TO_GO_ON = 32 * 2**20
_ended: threading.Event | None = None  # of the latest watch
_REMEDY = "free space there, or set RAY_TMPDIR to a short path on a larger disk"


def check_room() -> None:
    """Raises InputError where a local Ray that starts now would soon have filled the disk of its logs and spills."""
    folder = Path(os.environ.get("RAY_TMPDIR") or "/tmp") / "ray"
    free = _free(folder)
    if free is not None and free < _ROOM_TO_START:
        raise InputError(
            f"RAY_TMPDIR={folder.parent}: has {_mib(free)} free, and a local Ray needs {_mib(_ROOM_TO_START)} there; "
            f"{_REMEDY}"
        )


def watch(node: Any) -> None:
    """From now on, stop the job when the disk of Ray's temporary folder is full, or when a process of its `node` died.

    The node is the one that this process has started; the disks of a cluster's nodes are Ray's to watch.
    """
    global _ended
    _ended = threading.Event()
    # Ray ends its processes at exit, one by one: what was registered later is called before.
    atexit.register(_ended.set)
    threading.Thread(target=_look, args=(node, _ended), daemon=True).start()


def end_watch() -> None:
    """The node is about to be shut down: its processes may die."""
    if _ended is not None:
        _ended.set()


def _look(node: Any, ended: threading.Event) -> None:
    folder = Path(node.get_temp_dir_path())
    while not ended.wait(_SECONDS_BETWEEN_LOOKS):
        if not node.any_processes_alive():
            return  # it was shut down
        free = _free(folder)
        if free is not None and free < _ROOM_TO_GO_ON:
            stopping.stop(
                f"the disk of Ray's temporary folder {folder} is full ({_mib(free)} free): {_REMEDY}",
                EXIT_BROKEN,
            )
            return
        dead = [kind for kind, _ in node.dead_processes()]
        if ended.is_set():
            return  # meanwhile they were told to die
        if dead:
            stopping.stop(f"Ray's own process on this machine died ({', '.join(dead)})", EXIT_BROKEN)
            return


def _free(folder: Path) -> int | None:
    """Free bytes of the disk on which a folder lies, or would be made; None where nobody can tell."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    try:
        return None if there is None else shutil.disk_usage(there).free
    except OSError:
        return None


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
