"""Storage that is away for some minutes: a run waits for it and goes on, since what it has learnt is in memory."""

import errno
import logging
import socket
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline import storage
from pipeline.errors import InputError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# Workers wait for each other for half an hour at most (torch.distributed), so one of them may wait for less.
PATIENCE_SECONDS = 900.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 20.0

# What a network, a server or a mount has that is away, besides Python's own connection errors and timeouts.
_PASSING = frozenset(
    {
        errno.EIO, errno.ESTALE, errno.EBUSY, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, errno.ENETDOWN,
        errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN, errno.EREMOTEIO,
    }
)  # fmt: skip
# The same by the classes of clients that may not be installed: botocore's, aiohttp's, gcsfs' and google.auth's.
_CLIENTS = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google")
_PASSING_NAMES = frozenset(
    {
        "HTTPClientError",
        "ConnectionError",
        "ClientConnectionError",
        "ClientPayloadError",
        "HttpError",
        "TransportError",
    }
)


def patiently(action: Callable[[], Result], what: str, patience: float = PATIENCE_SECONDS) -> Result:
    """The result of `action`, which is tried again for `patience` seconds while the storage is away.

    Args:
        action: reads or writes by `pipeline.storage`; may be done twice.
        what: what it does, for the line that says that it waits.
        patience: seconds after which the storage's error is raised as it came.
    """
    deadline = time.monotonic() + patience
    pause, waited = _FIRST_PAUSE, False
    while True:
        try:
            result = action()
        except Exception as error:
            if not is_passing(error) or time.monotonic() + pause > deadline:
                raise
            if not waited:
                logger.warning("%s: waiting for the storage (%s)", what, _one_line(error))
            waited = True
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            if waited:
                logger.warning("%s: the storage is back", what)
            return result


def write_patiently(url: str, content: bytes) -> None:
    """`storage.write_bytes`, tried again while the storage is away."""
    patiently(lambda: storage.write_bytes(url, content), url)


def is_passing(error: BaseException) -> bool:
    """Whether an error is of a storage that may be back soon, and not of what was asked of it."""
    cause: BaseException | None = error
    while isinstance(cause, InputError):  # in which `pipeline.storage` wraps what the storage's client raised
        cause = cause.__cause__
    if isinstance(cause, ConnectionError | TimeoutError | socket.gaierror):
        return True
    if isinstance(cause, OSError) and cause.errno in _PASSING:
        return True
    return any(
        base.__module__.startswith(_CLIENTS) and base.__name__ in _PASSING_NAMES for base in type(cause).mro()
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
