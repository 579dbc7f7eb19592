"""The jobs of overlays/kind, submitted as KubeRay's submitter does, to a Ray of several nodes on this machine.

Nodes have the labels of the manifests' pools, the settings of its ConfigMap and an S3 server; one of them gets SIGTERM
while it works. Run by `make drill`; takes some ten minutes.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType
from typing import Any

import pytest

from pipeline import parquet, storage
from pipeline.features.store import FeatureStore
from tests.k8s.entrypoints import submitted_words
from tests.k8s.rendering import Document, groups, named, rendered
from tests.s3_server import free_ports

_BIN = Path(sys.executable).parent
_INFER = "{raytad.io/pool:gpu-infer}"
_DRAIN = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"


class Cluster:
    """`ray start` for a head and for nodes of the pools of a rendered cluster, all of them on this machine."""

    def __init__(self, folder: Path, documents: list[Document], data: str, stack: ExitStack) -> None:
        self.documents, self.folder, self._stack = documents, folder, stack
        self.processes: dict[str, subprocess.Popen[bytes]] = {}  # by node id, the head's not among them
        self.gcs, self.dashboard, client = free_ports(3)
        settings = named(documents, "ConfigMap", "raytad-settings")["data"]
        ours = {name: value for name, value in settings.items() if not name.startswith("AWS_")}
        self.environment = os.environ | ours | {
            "RAYTAD_DATA": data,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": uuid.uuid4().hex * 2,
            "RAY_TMPDIR": mkdtemp(prefix="ray-"),  # sockets have short names
            "PATH": f"{_BIN}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self._start(
            "head", f"--head --port={self.gcs} --dashboard-port={self.dashboard} --ray-client-server-port={client}"
            " --num-cpus=0 --include-dashboard=true", "0",
        )  # fmt: skip
        self.until(lambda: self.ray("job", "list").returncode == 0, "the head answers")

    def add(self, pool: str, cpus: int, gpus: int = 0) -> "subprocess.Popen[bytes]":
        """Another node of a pool, its GPUs made up; it drains for a tenth of what the manifest gives it."""
        group = groups(named(self.documents, "RayCluster", "raytad")["spec"])[pool]
        (container,) = group["template"]["spec"]["containers"]
        labels = ",".join(f"{name}={value}" for name, value in group["labels"].items())
        seconds = {each["name"]: each["value"] for each in container["env"]}[_DRAIN]
        before = set(self.pools())
        process = self._start(
            pool,
            f"--address=127.0.0.1:{self.gcs} --num-cpus={cpus} --num-gpus={gpus} --labels={labels}",
            str(int(seconds) // 10),
        )
        # One after the other: nodes that start at once on one machine take each other's sockets.
        self.until(lambda: set(self.pools()) > before, f"a node of {pool} is there")
        (node,) = set(self.pools()) - before
        self.processes[node] = process
        return process

    def _start(self, name: str, options: str, drain: str) -> "subprocess.Popen[bytes]":
        agent, metrics = free_ports(2)
        log = (self.folder / f"{name}-{time.monotonic_ns()}.log").open("wb")
        self._stack.callback(log.close)
        process = subprocess.Popen(
            [
                str(_BIN / "ray"), "start", "--block", *options.split(), "--object-store-memory=150000000",
                f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}",
                "--node-ip-address=127.0.0.1", "--disable-usage-stats",
            ],
            env=self.environment | {_DRAIN: drain},
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd=self.folder,
        )  # fmt: skip
        self._stack.callback(_end, process)
        return process

    def ray(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`ray <words>` against the dashboard."""
        at = ["--address", f"http://127.0.0.1:{self.dashboard}"]
        place = 2 if words[0] == "job" else 1
        command = [str(_BIN / "ray"), *words[:place], *at, *words[place:]]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, cwd=self.folder
        )

    def listed(self, kind: str) -> list[dict[str, Any]]:
        """`ray list <kind>`, with details."""
        done = self.ray("list", kind, "--detail", "--format", "json", "--limit", "10000")
        assert done.returncode == 0, done.stderr
        if "[" not in done.stdout:
            return []  # where there is none it says so in words
        return json.loads(done.stdout[done.stdout.index("[") :])

    def submit(self, part: str, changes: Mapping[str, str]) -> "subprocess.Popen[str]":
        """What the submitter of a RayJob does, with these changes to its words."""
        words = submitted_words(named(self.documents, "RayJob", f"raytad-{part}"))
        for old, new in changes.items():
            assert any(old in word for word in words), f"{part}: {old} is not in {words}"
            words = [word.replace(old, new) for word in words]
        return subprocess.Popen(
            [str(_BIN / "ray"), "job", "submit", "--address", f"http://127.0.0.1:{self.dashboard}", "--", *words],
            env={name: value for name, value in self.environment.items() if name != "RAYTAD_DATA"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder,
        )  # fmt: skip

    def run(self, part: str, changes: Mapping[str, str] = MappingProxyType({})) -> str:
        """Submit a job and wait for it."""
        process = self.submit(part, changes)
        said, _ = process.communicate(timeout=1500)
        assert process.returncode == 0, said[-4000:]
        return said

    def wait_for_nodes(self, count: int) -> None:
        """Until so many nodes are alive, the head included."""
        self.until(lambda: self.alive() == count, f"{count} nodes are there")

    def alive(self) -> int:
        return sum(node["state"] == "ALIVE" for node in self.listed("nodes"))

    def pools(self) -> dict[str, str]:
        """The pool of each node there ever was, by id."""
        return {
            node["node_id"]: node["labels"].get("raytad.io/pool", "head") for node in self.listed("nodes")
        }

    def until(self, holds: Any, what: str, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"{seconds:g} seconds, and not yet: {what}"
            time.sleep(1)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def cluster(tmp_path: Path, s3_server: str) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path, rendered("overlays/kind"), f"{s3_server}/{uuid.uuid4().hex}", stack)


def test_the_jobs_run_where_they_belong_and_outlive_a_node(cluster: Cluster) -> None:
    data = cluster.environment["RAYTAD_DATA"]
    (render,) = named(cluster.documents, "Job", "raytad-archive")["spec"]["template"]["spec"]["containers"]
    *shell, command = render["command"]
    small = command.replace("out=/tmp/demo", f"out={cluster.folder}/demo train_videos=6 test_videos=2")
    assert small != command
    subprocess.run([*shell, small], env=cluster.environment, check=True, cwd=cluster.folder)
    assert len(storage.list_files(f"{data}/videos")) == 9

    leaving = cluster.add("cpu-decode", 2)
    cluster.add("cpu-decode", 2)
    cluster.add("gpu-infer", 2, gpus=1)
    extraction = cluster.submit("extract", {})
    deadline = time.monotonic() + 300
    while not any(task["state"] == "FINISHED" for task in decoding(cluster)):
        assert time.monotonic() < deadline, "nothing was decoded in five minutes"
        assert extraction.poll() is None
        time.sleep(0.5)
    leaving.send_signal(signal.SIGTERM)
    said, _ = extraction.communicate(timeout=1500)
    assert extraction.returncode == 0, said[-4000:]
    assert leaving.wait(120) is not None
    cluster.wait_for_nodes(3)
    index = FeatureStore(f"{data}/store").index()
    assert len(index) == 8
    assert index.complete.all()
    pools = cluster.pools()
    assert {pools[task["node_id"]] for task in decoding(cluster) if task["node_id"]} == {"cpu-decode"}
    assert actor_pools(cluster, "ChunkEmbedder") == {"gpu-infer"}

    for _ in range(3):  # one for each worker, and one that takes the place of a node that goes
        cluster.add("gpu-train", 1)
    training = cluster.submit("train", {})
    cluster.until(lambda: storage.exists(f"{data}/run/epochs.jsonl"), "an epoch is done", 600)
    places = [actor["node_id"] for actor in alive_actors(cluster, "RayTrainWorker")]
    assert len(set(places)) == 2
    leaving = cluster.processes[places[0]]
    leaving.send_signal(signal.SIGTERM)
    cluster.until(
        lambda: has_checkpoint_within_an_epoch(f"{data}/run"), "its workers leave a checkpoint", 120
    )
    said, _ = training.communicate(timeout=1500)
    assert training.returncode == 0, said[-4000:]
    assert leaving.wait(120) is not None
    assert actor_pools(cluster, "RayTrainWorker") == {"gpu-train"}
    # Where a stage asks for a GPU it needs no label, and the others leave the GPU nodes alone.
    cluster.run("predict", {f"detect.labels={_INFER}": "detect.gpus=1"})
    assert actor_pools(cluster, "DetectorActor") == {"gpu-infer"}
    on_gpu = {f"{stage}.labels={_INFER}": f"{stage}.gpus=0.5" for stage in ("embed", "detect")}
    cluster.run("label", on_gpu | {"store=${RAYTAD_DATA}/store": "store=${RAYTAD_DATA}/another"})
    assert actor_pools(cluster, "ChunkEmbedder") == actor_pools(cluster, "DetectorActor") == {"gpu-infer"}
    pools = cluster.pools()
    assert {pools[task["node_id"]] for task in decoding(cluster) if task["node_id"]} == {"cpu-decode"}
    predicted, labelled = (segments(f"{data}/{out}") for out in ("predictions", "labels"))
    assert predicted
    assert predicted == labelled


def decoding(cluster: Cluster) -> list[dict[str, Any]]:
    return [
        task for task in cluster.listed("tasks") if "ChunkDecoder" in task["name"] or "probed" in task["name"]
    ]


def actor_pools(cluster: Cluster, name: str) -> set[str]:
    """The pools of the nodes that actors of this name ran on."""
    pools = cluster.pools()
    return {pools[actor["node_id"]] for actor in cluster.listed("actors") if name in _named(actor)}


def alive_actors(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    return [a for a in cluster.listed("actors") if name in _named(a) and a["state"] == "ALIVE"]


def has_checkpoint_within_an_epoch(run: str) -> bool:
    """Whether there is one of those that a notice makes; the next whole epoch's takes its place."""
    return any("_step_" in file.url for file in storage.list_files(f"{run}/checkpoints"))


def _named(actor: dict[str, Any]) -> str:
    return f"{actor['class_name']} {actor.get('repr_name') or ''}"


def segments(out: str) -> set[tuple[object, ...]]:
    tables = [parquet.read_table(url) for url in parquet.list_parquet(storage.join(out, "segments"))]
    return {tuple(row.values()) for table in tables for row in table.to_pylist()}
