"""What a job reads, looked at before it begins: what is missing is told before seconds of imports, and before Ray."""

from pydantic import BaseModel

from pipeline import storage
from pipeline.errors import InputError
from pipeline.settings import InputKind, inputs

_SPEC = "feature_spec.json"
_CHECKPOINTS = "checkpoints"
_CHECKPOINT = "checkpoint.json"


def check_inputs(config: BaseModel) -> None:
    """Raise InputError for the first input of a job's settings that is not there; what it holds is not looked at."""
    for key, url, kind in inputs(config):
        problem = _problem(url, kind)
        if problem:
            raise InputError(f"{key}={url}: {problem}")


def _problem(url: str, kind: InputKind) -> str | None:
    match kind:
        case InputKind.VIDEOS if not _is_there(url):
            return "not found; give a folder, a glob or a manifest"
        case InputKind.FILES if not _is_there(url):
            return "not found"
        case InputKind.STORE if not storage.exists(storage.join(url, _SPEC)):
            return f"no feature store there ({_SPEC} is missing); run extract or import_features first"
        case InputKind.RUN if not storage.is_folder(storage.join(url, _CHECKPOINTS)):
            return "has no complete checkpoint; run train first"
        case InputKind.CHECKPOINT if not storage.exists(storage.join(url, _CHECKPOINT)):
            return f"no checkpoint there ({_CHECKPOINT} is missing)"
        case InputKind.PREDICTIONS if not _is_there(url):
            return "not found; run predict first"
    return None


def _is_there(url: str) -> bool:
    """Whether there is a file or a folder at `url`, or it may be a glob."""
    return storage.exists(url) or storage.is_folder(url) or any(character in url for character in "*?[")
