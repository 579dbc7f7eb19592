"""What a job's workers ask of a Ray, compared with what its nodes have: Ray itself waits, without a word, for ever."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ray

from pipeline.cluster.insides import own_node
from pipeline.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Need:
    """What one kind of worker asks for.

    Attributes:
        amounts: key of the settings -> (Ray's name of a resource, amount for each worker).
        workers: how many there must be at the same time.
        workers_key: the key that says how many.
    """

    amounts: Mapping[str, tuple[str, float]]
    workers: int = 1
    workers_key: str | None = None


def needs_of(
    group: str,
    *,
    cpus: float,
    gpus: float = 0.0,
    accelerator_type: str | None = None,
    resources: Mapping[str, float] | None = None,
    workers: int = 1,
    workers_key: str | None = None,
) -> Need:
    """The need of a stage whose settings are those of `group`, such as `embed`."""
    amounts = {f"{group}.cpus": ("CPU", cpus), f"{group}.gpus": ("GPU", gpus)}
    if accelerator_type is not None:
        amounts[f"{group}.accelerator_type"] = (f"accelerator_type:{accelerator_type}", 0.001)
    for name, amount in (resources or {}).items():
        amounts[f"{group}.resources.{name}"] = (name, amount)
    return Need(amounts, workers, workers_key)


def check_needs(needs: Sequence[Need]) -> None:
    """Raise InputError where the local Ray that this job has started can never run its workers.

    Of a Ray that it has joined a line warns instead: nodes may be added while the job waits.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for need in needs:
        problem = unmet(need, nodes)
        if problem is None:
            continue
        node = own_node()
        if node is not None and node.is_head():
            raise InputError(f"{problem}; lower it, or join a cluster that has more by ray.address=")
        logger.warning("%s: the job waits until one is added; lower it, or add nodes", problem)


def unmet(need: Need, nodes: Sequence[Mapping[str, float]]) -> str | None:
    """What stands in the way of a need, naming the key; None where nothing does.

    Args:
        need: of one kind of worker.
        nodes: the resources of each node, used or not.
    """
    for key, (resource, amount) in need.amounts.items():
        most = max((node.get(resource, 0.0) for node in nodes), default=0.0)
        if amount > most:
            if resource.startswith("accelerator_type:"):
                return f"{key}={resource.partition(':')[2]}: no node of this Ray has such a GPU"
            has = f"more than {most:g} {resource}s" if most else f"a {resource}"
            return f"{key}={amount:g}: no node of this Ray has {has}"
    wanted = {resource: amount for resource, amount in need.amounts.values() if amount}
    places = sum(
        min((int(node.get(resource, 0.0) / amount + 1e-9) for resource, amount in wanted.items()), default=0)
        for node in nodes
    )
    if places < need.workers and need.workers_key:
        return f"{need.workers_key}={need.workers}: the nodes of this Ray have room for {places} of them"
    return None
