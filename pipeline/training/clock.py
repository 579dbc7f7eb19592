"""How long a process has trained, and how much of that it has waited for windows."""

import time
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")


class Clock:
    """Seconds since it was made, and the share of them that went by while items were waited for."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._waited = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun

    @property
    def share_waited(self) -> float:
        """In [0, 1]."""
        return self._waited / self.seconds

    def waiting_for(self, items: Iterator[Item], start: int = 0) -> Iterator[tuple[int, Item]]:
        """`enumerate(items, start)`, timed."""
        index = start
        while True:
            asked = time.monotonic()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self._waited += time.monotonic() - asked
            yield index, item
            index += 1
