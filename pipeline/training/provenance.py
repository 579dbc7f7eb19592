"""What a run was made by: the commands, versions, machines and settings that would make it again."""

import platform
import shlex
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import ray

from pipeline import storage
from pipeline.records import DamagedRecordError, read_record, write_record
from pipeline.training.plan import TrainingPlan

_FILE = "provenance.json"
_PACKAGES = ("raytad", "torch", "ray", "numpy", "pyarrow", "scipy")
_HOUSE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Sitting:
    """One command that worked on a run.

    Attributes:
        begun: when, UTC.
        command: the words of the process, as a shell takes them.
        revision: of raytad's source by git, with a + where files differ from it; None where there is no repository.
        versions: of Python and of the packages that compute.
        machine: architecture and system of the driver's.
        nodes: of the Ray, each with what it has.
        from_epoch, from_step: where it took the run up.
    """

    begun: str
    command: str
    revision: str | None
    versions: dict[str, str]
    machine: str
    nodes: list[dict[str, str | float]]
    from_epoch: int
    from_step: int


@dataclass(frozen=True)
class Provenance:
    """`provenance.json` of a run; `config.json` beside it has all settings.

    Attributes:
        seed: from which all that is random follows.
        feature_digest: of what made the features.
        training_videos, training_windows: how many there are.
        sittings: one for each command, the first first.
    """

    seed: int
    feature_digest: str
    training_videos: int
    training_windows: int
    sittings: tuple[Sitting, ...]


def write_provenance(plan: TrainingPlan, epoch: int, step: int) -> None:
    """Add this command to `provenance.json` of the run that it takes up at `step` of `epoch`; Ray is connected."""
    url = storage.join(plan.config.run, _FILE)
    try:
        before = read_record(url, Provenance, "a run's provenance")
    except DamagedRecordError:
        before = None  # a record of the past is no reason to stop
    sitting = Sitting(
        begun=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        command=_command(),
        revision=_revision(),
        versions={"python": platform.python_version()} | _versions(),
        machine=platform.platform(),
        nodes=_nodes(),
        from_epoch=epoch,
        from_step=step,
    )
    provenance = Provenance(
        seed=plan.config.seed,
        feature_digest=plan.store.spec.digest,
        training_videos=len(plan.videos),
        training_windows=len(plan.windows),
        sittings=(*(before.sittings if before else ()), sitting),
    )
    write_record(url, provenance)


def _command() -> str:
    """The words that started this process: `sys.argv` lacks the interpreter, and `-m` with it."""
    return shlex.join(sys.orig_argv)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):  # run from its source
            found[package] = version(package)
    return found


def _revision() -> str | None:
    """What git says of raytad's own source, which an installed one does not have."""
    if not (_HOUSE / ".git").exists():
        return None
    words = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(words, cwd=_HOUSE, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _nodes() -> list[dict[str, str | float]]:
    """CPUs, GPUs with their kind, and memory of each node that lives, as its Ray counts them."""
    nodes = []
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        held = node["Resources"]
        kinds = [name.partition(":")[2] for name in held if name.startswith("accelerator_type:")]
        nodes.append(
            {
                "cpus": held.get("CPU", 0.0),
                "gpus": held.get("GPU", 0.0),
                "gpu": ", ".join(kinds),
                "memory_gib": round(held.get("memory", 0.0) / 2**30, 1),
            }
        )
    return nodes
