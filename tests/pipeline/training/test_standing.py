"""The progress line of a run that is watched through a pipe."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import ray

from pipeline.training.standing import Standing, Teller, heard

STANDING = Standing(
    epoch=3,
    epochs=40,
    done=0.06,
    losses={"total": 12.3456, "class": 1.0, "l1": 0.25, "tiou": 0.5, "class_layer0": 2.0},
    rate=1e-4,
    windows_per_second=123.4,
    seconds_left=3725.2,
    det_map=None,
)


def test_a_standing_in_words() -> None:
    assert " ".join(STANDING.words()) == (
        "epoch 3/40 loss 12.346 (class 1.000, l1 0.250, tiou 0.500) lr 1.0e-04 123 windows/s 1:02:05 left"
    )
    assert "det-mAP 45.7" in replace(STANDING, det_map=0.4567).words()


def test_the_latest_standing_is_told(ray_local: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"), heard() as desk:
        teller = Teller(desk)
        assert teller.due
        for epoch in range(1, 21):
            teller.tell(replace(STANDING, epoch=epoch, done=epoch / 40))
        assert not teller.due
    assert caplog.messages == ["50 %, " + ", ".join(replace(STANDING, epoch=20).words())]


def test_a_line_that_nobody_takes_is_dropped(ray_local: None) -> None:
    with heard() as desk:
        teller = Teller(desk)
        ray.kill(desk)
        teller.tell(STANDING)
        assert not teller.due
        teller.tell(STANDING)


_MANY_NODES = """
import json
import ray
from ray.cluster_utils import Cluster
from pipeline.training.standing import heard

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 * 2**20})
for _ in range(2):
    cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)
cluster.wait_for_nodes()
ray.init(address=cluster.address, logging_level="error", log_to_driver=False)

nodes = []
for _ in range(8):
    with heard() as desk:
        ray.get(desk.look.remote())
        state = ray._private.state.actors(desk._actor_id.hex())
        nodes.append(state["Address"]["NodeID"])
print(json.dumps([ray.get_runtime_context().get_node_id(), nodes]))
ray.shutdown()
cluster.shutdown()
"""


def test_the_desk_lies_on_the_driver_s_node() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MANY_NODES], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    here, nodes = json.loads(done.stdout.splitlines()[-1])
    assert set(nodes) == {here}
