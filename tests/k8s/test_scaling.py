"""The demands of each job, put through Ray's own autoscaler on the rendered clusters, which start without workers."""

import pytest

from tests.k8s.entrypoints import Demand, demands, job_settings
from tests.k8s.rendering import OVERLAYS, clusters, groups, named, of_kind, rendered
from tests.k8s.scaling import started

_NAMES = ("base", *(f"overlays/{name}" for name in OVERLAYS), "components/spot")
_JOBS = ("extract", "train", "predict", "label")


@pytest.mark.parametrize("part", _JOBS)
@pytest.mark.parametrize("name", _NAMES)
def test_a_job_gets_the_nodes_that_it_asks_for(name: str, part: str) -> None:
    documents = rendered(name)
    job = named(documents, "RayJob", f"raytad-{part}")
    cluster = job["spec"]["rayClusterSpec"]
    pools = groups(cluster)
    assert all(pool["minReplicas"] == 0 == pool["replicas"] for pool in pools.values())
    verb, config = job_settings(documents, job)
    for demand in demands(verb, config):
        found = started(cluster, [demand])
        (pool,) = found.nodes
        assert pool == demand.labels["raytad.io/pool"], demand.stage
        assert found.nodes[pool] <= pools[pool]["maxReplicas"]
        # Decoding asks for more than there may ever be; everything else fits at its largest.
        assert not found.infeasible or demand.stage == "decode", demand.stage
    assert set(started(cluster, demands(verb, config)).nodes) == set(pools)


@pytest.mark.parametrize("name", _NAMES)
def test_gpu_nodes_start_for_gpu_work_only(name: str) -> None:
    """Without labels, too: Ray Data's own requests carry none."""
    for where, cluster in clusters(rendered(name)):
        has_gpu = {
            pool: "nvidia.com/gpu" in group["template"]["spec"]["containers"][0]["resources"]["limits"]
            for pool, group in groups(cluster).items()
        }
        if not any(has_gpu.values()):
            continue  # as in the overlay for a laptop
        if "cpu-decode" in has_gpu:
            found = started(cluster, [Demand("any task", {"CPU": 1.0}, 40)])
            assert set(found.nodes) == {"cpu-decode"}, where
        found = started(cluster, [Demand("any actor", {"CPU": 1.0, "GPU": 1.0}, 2)])
        assert all(has_gpu[pool] for pool in found.nodes), where


def test_what_no_node_can_do_is_told() -> None:
    """So that the tests above can fail."""
    (_, cluster), *_ = clusters(rendered("base"))
    for impossible in (
        Demand("too large", {"CPU": 64.0}, 1),
        Demand("too many GPUs", {"GPU": 8.0}, 1),
        Demand("another resource", {"TPU": 1.0}, 1),
        Demand("another pool", {"CPU": 1.0}, 1, {"raytad.io/pool": "somewhere"}),
        Demand(
            "a gang of more than there may be",
            {"GPU": 1.0},
            40,
            {"raytad.io/pool": "gpu-train"},
            together=True,
        ),
    ):
        found = started(cluster, [impossible])
        assert found.infeasible, impossible.stage
        assert not found.nodes, impossible.stage


def test_kueue_reserves_what_the_jobs_ask_for() -> None:
    """Its clusters have fixed sizes: training's gang fits, and each stage has a node."""
    documents = rendered("components/kueue")
    for job in of_kind(documents, "RayJob"):
        pools = groups(job["spec"]["rayClusterSpec"])
        assert all(
            pool["replicas"] == pool["minReplicas"] == pool["maxReplicas"] > 0 for pool in pools.values()
        )
        verb, config = job_settings(documents, job)
        if verb == "train":
            assert config.workers * config.gpus_per_worker <= pools["gpu-train"]["replicas"]


def test_every_job_of_the_laptop_fits_a_laptop() -> None:
    """With all of its pods at once: head, autoscaler, submitter, the store, and each pool at its largest."""
    documents = rendered("overlays/kind")
    (store,) = named(documents, "Deployment", "object-store")["spec"]["template"]["spec"]["containers"]
    for job in of_kind(documents, "RayJob"):
        cluster = job["spec"]["rayClusterSpec"]
        (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
        (submitter,) = job["spec"]["submitterPodTemplate"]["spec"]["containers"]
        held = [
            store["resources"],
            head["resources"],
            submitter["resources"],
            cluster["autoscalerOptions"]["resources"],
        ]
        for pool in groups(cluster).values():
            (worker,) = pool["template"]["spec"]["containers"]
            held += [worker["resources"]] * pool["maxReplicas"]
        # Kubernetes itself takes about one of the ten CPUs.
        assert sum(int(each["requests"]["cpu"]) for each in held) <= 9, job["metadata"]["name"]
        assert sum(int(each["requests"]["memory"].removesuffix("Gi")) for each in held) <= 16


@pytest.mark.parametrize("name", _NAMES)
def test_a_graph_has_a_slot_for_each_of_its_stages(name: str) -> None:
    """Reading, decoding, actors and writing wait for each other; with fewer than four slots it may be for ever."""
    for job in of_kind(rendered(name), "RayJob"):
        if job["metadata"]["name"] == "raytad-train":
            continue
        pools = groups(job["spec"]["rayClusterSpec"]).values()
        cpus = [
            pool["maxReplicas"] * int(pool["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
            for pool in pools
        ]
        assert sum(cpus) >= 4, job["metadata"]["name"]
