"""A run that loses a node with a worker, and may get another, on a cluster of several nodes on this machine.

Run by `make drill`; takes minutes.
"""

import itertools
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from safetensors.torch import load_file

from tests.drills.processes import TRAIN, write_training_set

_EPOCHS = 150
# A head with room for one worker, and a node for the other that is drained as a spot instance is, then one that comes.
_DRIVER = '''
import json, os, pathlib, signal, subprocess, sys, threading, time
os.environ["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] = "1"
import ray
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from pipeline.compose import compose_config
from pipeline.training import ray_trainer
from pipeline.training.run import train
from pipeline.training.settings import TrainConfig

run, change, words = sys.argv[1], sys.argv[2], sys.argv[3:]
small = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args=small)
node = cluster.add_node(**small)
cluster.wait_for_nodes()
ray.init(address=cluster.address, logging_level="error")
ray_trainer._RESIZE_SECONDS = 2.0
said, joined = [], []

def epochs():
    try:
        return len(open(f"{run}/epochs.jsonl").read().splitlines())
    except OSError:
        return 0

def alive():
    return sum(node["Alive"] for node in ray.nodes())

def workers():
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            mine = os.environ["RAY_TMPDIR"].encode() in (folder / "environ").read_bytes()
            if mine and (folder / "cmdline").read_bytes().startswith(b"ray::RayTrainWorker"):
                yield int(folder.name)
        except OSError:
            pass

def add_node_and_wait(seconds):
    """Ray looks for new nodes every 20 seconds, in which this small training would be over."""
    pids = list(workers())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    said.append(["held", len(pids), epochs()])
    ray_command = str(pathlib.Path(sys.executable).parent / "ray")
    words = [f"--address={cluster.address}", "--num-cpus=1", f"--object-store-memory={100 * 2**20}", "--block"]
    joined.append(subprocess.Popen(
        [ray_command, "start", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ))
    time.sleep(seconds)
    said.append(["held until", alive()])
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:  # Ray has replaced it meanwhile
            pass

def change_nodes():
    while epochs() < 2:
        time.sleep(0.05)
    if change == "drain":
        gcs = GcsClient(address=ray.get_runtime_context().gcs_address)
        deadline = int(1000 * (time.time() + 8))
        accepted, why = gcs.drain_node(node.node_id, 2, "spot", deadline)
        said.append(["drain", accepted, why])
        time.sleep(8)
    cluster.remove_node(node, allow_graceful=False)
    said.append(["gone", epochs()])
    before = epochs()
    while epochs() < before + 2:
        time.sleep(0.05)
    said.append(["alone", epochs(), alive()])
    add_node_and_wait(45)

if change != "none":
    threading.Thread(target=change_nodes, daemon=True).start()
summary = train(compose_config("train", TrainConfig, words))
print(json.dumps([summary.done, said]))
for one in joined:
    one.terminate()
    one.wait(60)
ray.shutdown()
cluster.shutdown()
'''


def train_on_nodes(folder: Path, change: str, *words: str) -> tuple[Path, list[list[object]], str]:
    """Train to the end while nodes change. Returns the run, what was done to the nodes and what the process said."""
    run = folder / change
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(run), change, f"run={run}", *words],
        env=os.environ | {"RAY_TMPDIR": mkdtemp(prefix="ray-")},  # where a cluster tells all others of itself
        capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    [last] = [line for line in done.stdout.splitlines() if line.startswith("[")][-1:]  # Ray prints after it
    epochs, said = json.loads(last)
    assert epochs == _EPOCHS
    return run, said, done.stdout + done.stderr


def history(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "epochs.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("change", ["kill", "drain"])
def test_a_run_that_loses_one_of_two_workers_ends_like_one_that_kept_both(
    tmp_path: Path, change: str
) -> None:
    words = [
        *write_training_set(tmp_path), *TRAIN, f"optimiser.epochs={_EPOCHS}", "optimiser.batch_size=8",
        "checkpoint_minutes=0.02", "workers=[1,2]",
        # A node that is drained is no failure; one that dies without notice is.
        f"max_failures={3 if change == 'kill' else 0}",
    ]  # fmt: skip
    kept, _, _ = train_on_nodes(tmp_path, "none", *words)
    changed, said, told = train_on_nodes(tmp_path, change, *words)
    print(change, said)
    logging.info(told)
    assert "gone" in [row[0] for row in said]
    sizes = [int(row["workers"]) for row in history(changed)]
    assert [size for size, _ in itertools.groupby(sizes)] == [2, 1, 2], sizes
    for one, other in zip(history(changed), history(kept), strict=True):
        assert one["total"] == pytest.approx(other["total"], rel=1e-3), one["epoch"]
    weights, straight = (
        load_file(run / "checkpoints" / f"epoch_{_EPOCHS:05d}" / "model.safetensors")
        for run in (changed, kept)
    )
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, straight[name], rtol=1e-2, atol=1e-3)
