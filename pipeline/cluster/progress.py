"""A line now and then on how far a long write is, for logs where Ray's progress bars cannot be drawn."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from pipeline import parquet, storage
from pipeline.errors import InputError

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 20.0
_LONGEST_GOODBYE = 5.0


@contextmanager
def progress_lines(folder: str, total: int, unit: str) -> Iterator[None]:
    """Log the rows that appear in the Parquet files of `folder` while the block runs.

    Args:
        folder: URL; files that are there already do not count.
        total: rows expected.
        unit: what a row is, in the plural.
    """
    stop = threading.Event()
    counter = _RowCounter(folder)
    thread = threading.Thread(target=_tell, args=(counter, total, unit, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_LONGEST_GOODBYE)  # it may be waiting for storage


class _RowCounter:
    """Counts rows of new files, reading each footer once."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.seen = {file.url for file in storage.list_files(folder)}
        self.rows = 0

    def update(self) -> int:
        for file in storage.list_files(self.folder):
            if file.url not in self.seen and not file.url.endswith(".pending.parquet"):
                self.rows += parquet.read_file(file.url, lambda opened: opened.metadata.num_rows)
                self.seen.add(file.url)
        return self.rows


def _tell(counter: _RowCounter, total: int, unit: str, stop: threading.Event) -> None:
    started = time.monotonic()
    while not stop.wait(_SECONDS_BETWEEN_LINES):
        try:
            rows = counter.update()
        except (InputError, OSError, ValueError):
            continue  # a hiccup of the storage must not end a job over a line of log
        rate = rows / (time.monotonic() - started)
        left = timedelta(seconds=round((total - rows) / rate)) if rate else "unknown time"
        logger.info(
            "%d of %d %s (%.0f %%), %.1f a second, %s left", rows, total, unit, 100 * rows / total, rate, left
        )
