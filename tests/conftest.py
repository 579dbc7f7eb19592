"""Fixtures that several rooms' tests share: a real S3 server and a small local Ray."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import ray
from hypothesis import settings

from pipeline import outages, screen, stopping
from tests.s3_server import NUM_PORTS, environment, free_ports, serving

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray's workers give way to everything else on a machine, and a busy one would starve the tests.
os.environ.setdefault("RAY_worker_niceness", "0")

settings.register_profile("raytad", deadline=None)  # no test may fail because the machine is busy
settings.load_profile("raytad")

# Ray's workers inherit the environment of the moment in which Ray starts, so S3's is set before any fixture runs.
_S3_PORTS = free_ports(
    NUM_PORTS,
    int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
    int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
)
os.environ |= environment(_S3_PORTS)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where pytest has several workers: files that share a Ray go to one, jobs with Rays of their own to one.

    Two Rays at a time are what two cores bear. Any other file goes to one worker, with its fixtures.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByRay(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            if "ray_local" in _text_of(file):
                return "ray"
            return "jobs" if file.startswith("tests/jobs/") else file

    return ByRay(config, log)


@cache
def _text_of(file: str) -> str:
    return (Path(__file__).parent.parent / file).read_text()


@pytest.fixture(autouse=True)
def process_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a job sets for the whole of its process ends with the test: signals, patience, what has answered."""
    monkeypatch.setattr(outages, "_always_patient", False)
    monkeypatch.setattr(outages, "_answered", set())
    monkeypatch.setattr(screen._screen, "job", "")
    yield
    stopping.disarm()


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """A local Ray with four slots and a small object store, one for the whole session."""
    ray.init(
        "local", num_cpus=4, object_store_memory=300 * 2**20, include_dashboard=False, logging_level="warning"
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SeaweedFS S3 server for the session. Gives the URL of an empty bucket."""
    with serving(tmp_path_factory.mktemp("s3"), _S3_PORTS) as bucket:
        yield bucket
