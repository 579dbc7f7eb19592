"""What went wrong in a cluster, in a line: Ray's errors nest, and each tells its story in dozens of lines."""

import re
from collections.abc import Iterator

from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RaySystemError,
    RayTaskError,
    RuntimeEnvSetupError,
    UserCodeException,
    WorkerCrashedError,
)
from ray.train import TrainingFailedError

from pipeline.errors import InputError
from pipeline.outages import OutageError

# From the cause that explains most to the one that explains least: a node that dies takes its actors with it.
_STORIES: tuple[tuple[type[BaseException], str], ...] = (
    (OutOfDiskError, "the disk under Ray's temporary folder is full"),
    (OutOfMemoryError, "Ray killed a worker because its node ran out of memory"),
    (ObjectStoreFullError, "Ray's object store is full"),
    (LocalRayletDiedError, "the Ray process of this machine died"),
    (NodeDiedError, "a node of the cluster died"),
    (RuntimeEnvSetupError, "a worker could not be set up"),
    (RayActorError, "an actor died, again and again"),
    (WorkerCrashedError, "a worker process died, again and again"),
    (ObjectLostError, "the result of a task was lost, with the node or the process that held it"),
    (RaySystemError, "Ray failed"),
)
_DETAIL_LENGTH = 300
# Errors that are one line already. Of an exception in an actor's constructor Ray keeps only the text.
_OWN: tuple[type[Exception], ...] = (InputError, OutageError)
_OWN_TEXTS = {
    kind: re.compile(rf"^(?:{kind.__module__}\.)?{kind.__name__}: (.+)$", re.MULTILINE) for kind in _OWN
}
_LAST_ERROR = re.compile(r"^(?:[\w.]+\.)?(\w+(?:Error|Exception|Exit|Interrupt)\b.*)$", re.MULTILINE)


def is_from_cluster(error: BaseException) -> bool:
    """Whether this is one of Ray's errors, or wraps one."""
    return any(isinstance(e, RayError | TrainingFailedError) for e in _causes(error))


def own_error(error: BaseException) -> Exception | None:
    """The InputError or OutageError that a task, an actor or a training worker raised; None where there is none."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, _OWN) and not isinstance(cause, RayTaskError):
            return cause
    for cause in causes:
        if isinstance(cause, RayError | TrainingFailedError):
            for kind, text in _OWN_TEXTS.items():
                if found := text.findall(str(cause)):
                    return kind(found[-1])
    return None


def describe(error: BaseException) -> str:
    """What died, and why, in one line."""
    causes = list(_causes(error))
    for kind, story in _STORIES:
        for cause in causes:
            if isinstance(cause, kind) and not isinstance(cause, RayTaskError | UserCodeException):
                return f"{story} ({_detail(cause)})"
    inner = causes[-1]
    what = "training failed" if isinstance(error, TrainingFailedError) else "a task failed"
    return f"{what} ({_detail(inner, name=not isinstance(inner, RayError | TrainingFailedError))})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it wraps, from the outside in."""
    waiting, seen = [error], set[int]()
    while waiting:
        error = waiting.pop(0)
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        inner = [getattr(error, "cause", None), getattr(error, "controller_failure", None), error.__cause__]
        failures = getattr(error, "worker_failures", None)
        inner += failures.values() if isinstance(failures, dict) else []
        waiting += [e for e in inner if isinstance(e, BaseException)]


def _detail(error: BaseException, name: bool = False) -> str:
    """The telling part of an error's text: the last error of a traceback, or else its beginning."""
    text = str(error).strip()
    last = _LAST_ERROR.findall(text) if "Traceback" in text or isinstance(error, RayTaskError) else []
    if last:
        text = last[-1]
    elif name:
        text = f"{type(error).__name__}: {text}"
    text = " ".join(text.split())
    return text if len(text) <= _DETAIL_LENGTH else f"{text[: _DETAIL_LENGTH - 3]}..."
