"""One writer at a time, whatever becomes of the others."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import lease, stopping, storage
from pipeline.errors import InputError

_HOLD = """
import sys, time
from pipeline import lease
with lease.hold(sys.argv[1], "store", "extract"):
    print("holds", flush=True)
    time.sleep(600)
"""


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path)
    return f"{request.getfixturevalue('s3_server')}/lease-{tmp_path.name}"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same proportions, a minute made a second and a half."""
    monkeypatch.setattr(lease, "SIGN_SECONDS", 0.2)
    monkeypatch.setattr(lease, "DEAD_SECONDS", 1.5)
    monkeypatch.setattr(lease, "_LOOK_SECONDS", 0.05)


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other holder is on another machine, so that only its signs tell whether it lives."""
    monkeypatch.setattr(lease, "_is_gone", lambda _: None)


def test_a_second_writer_is_told_who_holds_the_folder(folder: str) -> None:
    with (
        lease.hold(folder, "store", "extract"),
        pytest.raises(
            InputError, match=rf"^store={folder}: is being written by extract \(process \d+ on .*UTC\)"
        ),
        lease.hold(folder, "store", "extract"),
    ):
        pass
    with lease.hold(folder, "store", "extract"):
        pass
    assert len(storage.list_files(storage.join(folder, "lease"))) == 1


def test_signs_of_life_refuse_a_writer_elsewhere(folder: str, quick: None, unseen: None) -> None:
    with (
        lease.hold(folder, "out", "predict"),
        pytest.raises(InputError, match="is being written by predict"),
        lease.hold(folder, "out", "predict"),
    ):
        pass


def test_of_many_who_come_at_once_one_writes_at_a_time(folder: str, quick: None, unseen: None) -> None:
    """Whoever comes when the first has ended may follow; nobody writes beside another."""
    alone = threading.Lock()

    def write(number: int) -> bool:
        try:
            with lease.hold(folder, "store", "extract"):
                assert alone.acquire(blocking=False), "two jobs write at once"
                time.sleep(1.0)
                alone.release()
                return True
        except InputError:
            return False

    with ThreadPoolExecutor(6) as pool:
        written = list(pool.map(write, range(6)))
    assert any(written)
    assert not all(written)


def test_a_killed_process_of_this_machine_holds_nothing(folder: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, folder], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holds\n"
        with pytest.raises(InputError, match="is being written"), lease.hold(folder, "store", "extract"):
            pass
        holder.kill()
        holder.wait()
        with lease.hold(folder, "store", "extract"):
            pass


def test_a_silent_owner_elsewhere_is_dead_after_a_while(folder: str, quick: None, unseen: None) -> None:
    dead = {
        "owner": "x", "job": "train", "host": "spot-7", "pid": 1, "process": "a/b/c", "since": "then", "signs": 3,
        "ended": False,
    }  # fmt: skip
    storage.write_bytes(storage.join(folder, "lease", "000007.json"), json.dumps(dead).encode())
    with lease.hold(folder, "run", "train"):
        [file] = storage.list_files(storage.join(folder, "lease"))
        assert file.url.endswith("000008.json")


@pytest.mark.parametrize("armed", [True, False])
def test_a_holder_that_is_overtaken_stops(folder: str, quick: None, armed: bool) -> None:
    if armed:
        stopping.arm("extract")

    def overtake() -> None:
        time.sleep(0.3)
        with lease.hold(folder, "store", "extract", force=True):
            time.sleep(1.0)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(overtake)
        with (
            pytest.raises(InputError, match=rf"^store={folder}: was taken over by extract"),
            lease.hold(folder, "store", "extract"),
        ):
            time.sleep(30)
        other.result()


def test_errors_of_the_block_pass_and_give_the_lease_back(folder: str) -> None:
    with pytest.raises(ZeroDivisionError), lease.hold(folder, "store", "extract"):
        raise ZeroDivisionError
    with lease.hold(folder, "store", "extract"):
        pass
