"""What a job's entrypoint comes to: the shells that it goes through, the settings that its words make, its demands."""

import importlib
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.compose import compose_config
from pipeline.errors import InputError
from tests.k8s.rendering import Document, named, of_kind

_PRINT = 'say() { printf "%s\\0" "$@"; }; '


def submitted_words(job: Document) -> list[str]:
    """The words behind `--` of `ray job submit`, as the submitter's shell, into which KubeRay puts them, makes them."""
    line = f"{_PRINT}say {job['spec']['entrypoint']}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, env=_environment({})
    )
    assert not done.stderr, done.stderr
    return done.stdout.split("\0")[:-1]


def driver_words(job: Document, settings: dict[str, str]) -> list[str]:
    """The words of the program that the head's shell runs: `ray job submit` joins, and quotes, what it is given."""
    verb = 'raytad() { say raytad "$@"; }; exec() { "$@"; }; export -f say raytad exec; '
    line = verb.join((_PRINT, shlex.join(submitted_words(job))))
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, env=_environment(settings)
    )
    assert not done.stderr, done.stderr
    return done.stdout.split("\0")[:-1]


def job_settings(documents: list[Document], job: Document) -> tuple[str, Any]:
    """The verb of a RayJob and the settings that its words make.

    Raises AssertionError where it is no command of raytad, InputError where a word is wrong.
    """
    settings = named(documents, "ConfigMap", "raytad-settings")["data"]
    program, verb, *words = driver_words(job, settings)
    assert program == "raytad", f"{program!r} is not raytad"
    unset = [word for word in words if "$" in word]
    assert not unset, f"{unset[0]!r} names what is not set"
    bare = [word for word in words if "=/" in word and settings["RAYTAD_DATA"] not in word]
    assert not bare, f"{bare[0]!r} lies on a disk of the head, for the prefix of its URL is not set there"
    declared = importlib.import_module(f"jobs.{verb}").JOB
    return verb, compose_config(declared.name, declared.config_type, words)


def entrypoints(documents: list[Document]) -> Iterator[str]:
    """Every entrypoint ends in words that its job's settings accept."""
    for job in of_kind(documents, "RayJob"):
        where = f"RayJob/{job['metadata']['name']}"
        if "\n" in job["spec"]["entrypoint"].strip():
            yield f"{where}: its entrypoint has several lines, of which the submitter runs the first"
            continue
        try:
            verb, _ = job_settings(documents, job)
        except (AssertionError, InputError, ImportError, ValueError, subprocess.CalledProcessError) as error:
            yield f"{where}: {error}"
            continue
        if job["metadata"]["labels"].get("raytad.io/part") != verb:
            yield f"{where}: runs {verb}"


@dataclass(frozen=True)
class Demand:
    """What a stage asks of Ray: `count` workers with these resources, on nodes with these labels."""

    stage: str
    resources: dict[str, float]
    count: int
    labels: dict[str, str] = field(default_factory=dict)
    together: bool = False


def demands(verb: str, config: Any) -> list[Demand]:
    """The demands of a job at its largest."""
    found = []
    if verb in ("extract", "label"):
        found += [
            Demand("decode", {"CPU": config.decode.cpus}, 64, config.decode.labels or {}),
            Demand(
                "embed",
                _shape(config.embed.cpus, config.embed.gpus),
                config.embed.max_actors,
                config.embed.labels or {},
            ),
        ]
    if verb in ("predict", "label"):
        detect = config.detect
        found.append(
            Demand("detect", _shape(detect.cpus, detect.gpus), detect.max_actors, detect.labels or {})
        )
    if verb == "train":
        shape = _shape(config.cpus_per_worker, config.gpus_per_worker)
        found.append(Demand("workers", shape, config.workers, config.labels or {}, together=True))
    return found


def _shape(cpus: float, gpus: float) -> dict[str, float]:
    return {"CPU": cpus} | ({"GPU": gpus} if gpus else {})


def _environment(settings: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"]} | {name: str(value) for name, value in settings.items()}
