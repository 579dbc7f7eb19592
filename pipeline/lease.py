"""One writer at a time: a store, a run and an output folder are leased to the job that writes into them.

`<folder>/lease/000001.json` tells who holds the folder, and its owner signs it anew every few seconds. Each lease has
the next number and is created exclusively, so of several jobs one gets it; the highest number counts. An owner that
gave no sign for a minute is taken for dead (at once where it was a process of this machine that is gone), and the next
number goes to the job that waited.
"""

import _thread
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipeline import stopping, storage
from pipeline.errors import InputError
from pipeline.outages import OutageError
from pipeline.records import DamagedRecordError, parse_record, record_bytes
from pipeline.summary import EXIT_BAD_INPUT

logger = logging.getLogger(__name__)

_FOLDER = "lease"
# Of an owner that lives, two signs are seen in the time after which a silent one is dead, whatever its storage does.
SIGN_SECONDS = 10.0
DEAD_SECONDS = 60.0
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Lease:
    """Who writes into a folder.

    Attributes:
        owner: unique to the job.
        job: its verb.
        host, pid: where its driver runs.
        process: identifies that process for other processes of its machine.
        since: when it began, UTC.
        signs: how often it has signed; another number is a sign of life.
        ended: whether it has finished.
    """

    owner: str
    job: str
    host: str
    pid: int
    process: str
    since: str
    signs: int = 0
    ended: bool = False

    def __str__(self) -> str:
        return f"{self.job} (process {self.pid} on {self.host}, since {self.since})"


@contextmanager
def hold(folder: str, key: str, job: str, force: bool = False) -> Iterator[None]:
    """Be the one writer of a folder while the block runs.

    Args:
        folder: URL.
        key: the setting that named it, for messages.
        job: the verb that writes.
        force: take it over from an owner that lives, which then stops.
    Raises:
        InputError: another job holds the folder; or, after the block, one has taken it over meanwhile.
    """
    url = storage.join(storage.absolute(folder), _FOLDER)
    holder = _Holder(url, *_acquire(url, f"{key}={folder}", job, force))
    holder.start()
    try:
        yield
    except BaseException:
        holder.stop(ended=not holder.lost.is_set())
        if holder.lost.is_set():
            raise InputError(holder.loss(f"{key}={folder}")) from None
        raise
    holder.stop(ended=not holder.lost.is_set())
    if holder.lost.is_set():
        raise InputError(holder.loss(f"{key}={folder}"))


def _acquire(url: str, name: str, job: str, force: bool) -> tuple[int, Lease]:
    """The number of this job's lease, and the lease."""
    while True:
        number, lease = _highest(url)
        if lease is not None and not lease.ended and not force:
            _wait_for_death(url, number, lease, name)
        mine = _mine(job)
        if storage.create_exclusively(_file(url, number + 1), record_bytes(mine)):
            _forget_below(url, number + 1)
            return number + 1, mine
        # Somebody was faster: that one lives, or has done its work already.


def _wait_for_death(url: str, number: int, lease: Lease, name: str) -> None:
    """Return when the owner is dead or has ended. Raises InputError when it gives a sign of life."""
    gone = _is_gone(lease)
    if gone:
        logger.info("%s was left by %s, which is gone", name, lease)
        return
    alive = f"{name}: is being written by {lease}; wait until it has ended, or take it over by force=true"
    if gone is False:
        raise InputError(alive)
    logger.info("%s may be in use by %s; waiting for a sign of it", name, lease)
    deadline = time.monotonic() + DEAD_SECONDS
    while time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        latest, now = _highest(url)
        if now is None or now.ended:
            return
        if latest != number or now.signs != lease.signs:
            raise InputError(alive)
    logger.info("%s has given no sign for %.0f s and counts as dead", lease, DEAD_SECONDS)


class _Holder:
    """Signs a lease in the background, and notices when it is taken over."""

    def __init__(self, url: str, number: int, lease: Lease) -> None:
        self._url, self._number, self._lease = url, number, lease
        self._stopped = threading.Event()
        self.lost = threading.Event()
        self._successor: Lease | None = None
        self._thread = threading.Thread(target=self._sign, name="lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, ended: bool) -> None:
        self._stopped.set()
        self._thread.join()
        if ended:
            try:
                self._write(replace(self._lease, ended=True))
            except (InputError, OutageError) as error:
                logger.warning("cannot give the lease back: %s", error)  # its end is seen by its silence

    def loss(self, name: str) -> str:
        return f"{name}: was taken over by {self._successor}; this job has stopped, what it had written stays"

    def _sign(self) -> None:
        while not self._stopped.wait(SIGN_SECONDS):
            try:
                number, lease = _highest(self._url)
                # On storage without conditional writes, another may have written the same number.
                if number > self._number or (lease is not None and lease.owner != self._lease.owner):
                    self._successor = lease
                    self.lost.set()
                    if not stopping.stop(self.loss("its folder"), EXIT_BAD_INPUT):
                        _thread.interrupt_main()  # not a job's process, but a test's or a notebook's
                    return
                self._lease = replace(self._lease, signs=self._lease.signs + 1)
                self._write(self._lease)
            except (InputError, OutageError) as error:
                logger.warning("cannot sign the lease: %s", error)

    def _write(self, lease: Lease) -> None:
        storage.write_bytes(_file(self._url, self._number), record_bytes(lease))


def _highest(url: str) -> tuple[int, Lease | None]:
    """The number of the newest lease, and the lease; 0 and None where there is none."""
    numbers = _numbers(url)
    if not numbers:
        return 0, None
    number = max(numbers)
    name = _file(url, number)
    try:
        return number, parse_record(storage.read_bytes(name), name, Lease, "a lease")
    except InputError as error:
        if not isinstance(error, DamagedRecordError) and storage.exists(name):
            raise
        return number, None  # of another version, or overtaken meanwhile


def _numbers(url: str) -> list[int]:
    names = (Path(file.url).stem for file in storage.list_files(url) if file.url.endswith(".json"))
    return [int(name) for name in names if name.isdigit()]


def _forget_below(url: str, number: int) -> None:
    for old in _numbers(url):
        if old < number:
            storage.remove(_file(url, old))


def _file(url: str, number: int) -> str:
    return storage.join(url, f"{number:06d}.json")


def _mine(job: str) -> Lease:
    return Lease(
        owner=uuid.uuid4().hex,
        job=job,
        host=socket.gethostname(),
        pid=os.getpid(),
        process=_identity(os.getpid()) or "",
        since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
    )


def _is_gone(lease: Lease) -> bool | None:
    """Whether the owner's process has ended; None where it cannot be seen from here."""
    here = _identity(os.getpid())
    if here is None or lease.process.rpartition("/")[0] != here.rpartition("/")[0]:
        return None
    return _identity(lease.pid) != lease.process


def _identity(pid: int) -> str | None:
    """`machine/namespace/start` of a process that runs here, which no later one shares; None where there is none."""
    try:
        machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    state, started = status[0], status[19]
    return None if state in "ZX" else f"{machine}/{namespace}/{started}"
