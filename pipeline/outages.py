"""Storage that does not answer: how that differs from a fact about a file, and waiting until it answers again.

A job that has begun waits for minutes, `RAYTAD_STORAGE_PATIENCE_S` seconds (300), before it stops; what is wrong from
the start (an endpoint, credentials) is told at once.
"""

import errno
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 20.0
# What a local or a mounted file system says when it is the storage's fault and not the file's.
OUTAGE_ERRNOS = frozenset(
    {
        errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED,
        errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN, errno.EPIPE, errno.EBUSY,
        errno.ENOTCONN, errno.EREMOTEIO, errno.EAGAIN, errno.EMFILE, errno.ENFILE,
    }
)  # fmt: skip
# What an object store says when the request failed and not the object: it is overloaded, or the credentials ran out.
_OUTAGE_CODES = frozenset(
    {
        "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException",
        "RequestLimitExceeded", "OperationAborted", "ExpiredToken", "ExpiredTokenException", "InvalidToken",
        "TokenRefreshRequired", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed",
        "InvalidSecurity",
    }
)  # fmt: skip
# What waiting does not mend.
_TO_BE_MENDED = frozenset(
    {
        "NoCredentialsError", "PartialCredentialsError", "ParamValidationError", "ProfileNotFound",
        "NoRegionError", "InvalidURL",
    }
)  # fmt: skip
_CLIENTS = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "requests", "urllib3")

_always_patient = False
_patience: float | None = None
_here = threading.local()
_answered: set[str] = set()


class OutageError(OSError):
    """Storage has not answered for as long as a job waits for it. No fact about any file; the same command goes on."""


def be_patient() -> None:
    """Let this process wait for storage from its first request on: a worker's storage has answered its driver."""
    global _always_patient
    _always_patient = True
    # aiohttp leaves writing tasks behind on connections that break, and asyncio their tracebacks.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def leave_waiting_to_others() -> None:
    """Let this process raise OutageError at once: the one that it works for is patient."""
    global _always_patient, _patience
    _always_patient, _patience = True, 0.0


@contextmanager
def at_once() -> Iterator[None]:
    """Let requests that this thread makes in the block fail at once: there will be other occasions."""
    _here.hurried = True
    try:
        yield
    finally:
        _here.hurried = False


def persist(place: str, request: Callable[[], Result], *, nested: bool = False) -> Result:
    """The result of `request`, which is made again, for minutes, while the storage at `place` does not answer.

    A request must be safe to make twice. In a process where `place` has not answered before, and that was not told to
    `be_patient`, nothing is tried again. With `nested`, `request` asks a process that leaves the waiting to this one.

    Raises OutageError where the storage stays away; any other error of `request` at once.
    """
    patience = _patience_seconds()
    pause, since = _FIRST_PAUSE, None
    while True:
        try:
            result = request()
        except Exception as error:
            if not is_outage(error) or (isinstance(error, OutageError) and not nested):
                raise
            if not (nested or _always_patient or place in _answered):
                raise
            now = time.monotonic()
            begun = now if since is None else since
            if now + pause > begun + patience:
                raise OutageError(
                    f"{place}: has not answered for {now - begun:.0f} s ({first_line(error)}); nothing is lost, the "
                    "same command continues when it does"
                ) from error
            if since is None:
                logger.warning("%s does not answer (%s); waiting for it", place, first_line(error))
            since = begun
            time.sleep(pause * random.uniform(0.7, 1.0))  # so that many workers do not come back at once
            pause = min(1.7 * pause, _LONGEST_PAUSE)
        else:
            if since is not None:
                logger.warning("%s answers again after %.0f s", place, time.monotonic() - since)
            _answered.add(place)
            return result


def _patience_seconds() -> float:
    if getattr(_here, "hurried", False):
        return 0.0
    return float(os.environ.get("RAYTAD_STORAGE_PATIENCE_S", "300")) if _patience is None else _patience


def is_outage(error: BaseException) -> bool:
    """Whether an error of a storage client says nothing about the file that was asked for."""
    return any(_tells_outage(link) for link in _causes(error))


def is_refusal(error: BaseException) -> bool:
    """Whether a web server asks for other credentials (401, 403): what signed the URL has run out, or was wrong."""
    return any(getattr(link, "status", None) in (401, 403) for link in _causes(error))


def first_line(error: BaseException) -> str:
    """The error in a line."""
    text = str(error) or type(error).__name__
    return text.splitlines()[0]


def _causes(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(8):
        if link is None:
            return
        yield link
        link = link.__cause__


def _tells_outage(error: BaseException) -> bool:
    if isinstance(error, OutageError):
        return True
    if isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return (
            False  # though fsspec raises it for web servers that are away, too, with the truth as its cause
        )
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's ClientError
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return response.get("Error", {}).get("Code") in _OUTAGE_CODES or _is_outage_status(status)
    status = getattr(error, "status", None) or getattr(error, "code", None)
    if isinstance(status, int) and type(error).__module__.startswith(_CLIENTS):
        return _is_outage_status(status)
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in OUTAGE_ERRNOS:
        return True
    # The clients' other errors are those of connections, and share no base with OSError.
    names = {base.__name__ for base in type(error).mro()}
    return (
        not isinstance(error, OSError)
        and type(error).__module__.startswith(_CLIENTS)
        and not names & _TO_BE_MENDED
    )


def _is_outage_status(status: int) -> bool:
    return status in (408, 429) or (500 <= status < 600 and status != 501)
