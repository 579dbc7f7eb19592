"""What a job's workers ask of a Ray, compared with what its nodes have: Ray itself waits, without a word, for ever."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import ray

from pipeline.cluster.insides import own_node
from pipeline.cluster.settings import Placement
from pipeline.errors import InputError

logger = logging.getLogger(__name__)

# A label's value itself; Ray takes conditions as well, such as `!value` and `in(a, b)`.
_PLAIN = re.compile(r"[A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Need:
    """What one kind of worker asks for.

    Attributes:
        amounts: key of the settings -> (Ray's name of a resource, amount for each worker).
        workers: how many there must be at the same time.
        workers_key: the key that says how many.
        labels: that a node must have.
        labels_key: the key that names them.
    """

    amounts: Mapping[str, tuple[str, float]]
    workers: int = 1
    workers_key: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    labels_key: str = "labels"


def needs_of(
    group: str,
    placement: Placement,
    *,
    cpus: float,
    gpus: float = 0.0,
    accelerator_type: str | None = None,
    workers: int = 1,
    workers_key: str | None = None,
) -> Need:
    """The need of a stage whose settings are those of `group`, such as `embed`."""
    amounts = {f"{group}.cpus": ("CPU", cpus), f"{group}.gpus": ("GPU", gpus)}
    if accelerator_type is not None:
        amounts[f"{group}.accelerator_type"] = (f"accelerator_type:{accelerator_type}", 0.001)
    for name, amount in (placement.resources or {}).items():
        amounts[f"{group}.resources.{name}"] = (name, amount)
    return Need(amounts, workers, workers_key, placement.labels or {}, f"{group}.labels")


def check_needs(needs: Sequence[Need]) -> None:
    """Raise InputError where the local Ray that this job has started can never run its workers.

    Of a Ray that it has joined a line warns instead: nodes may be added while the job waits.
    """
    nodes = [(node["Resources"], node["Labels"]) for node in ray.nodes() if node["Alive"]]
    for need in needs:
        problem = unmet(need, nodes)
        if problem is None:
            continue
        node = own_node()
        if node is not None and node.is_head():
            raise InputError(f"{problem}; lower it, or join a cluster that has more by ray.address=")
        logger.warning("%s: the job waits until one is added; lower it, or add nodes", problem)


def unmet(need: Need, nodes: Sequence[tuple[Mapping[str, float], Mapping[str, str]]]) -> str | None:
    """What stands in the way of a need, naming the key; None where nothing does.

    Args:
        need: of one kind of worker.
        nodes: the resources of each node, used or not, and its labels.
    """
    plain = {name: value for name, value in need.labels.items() if _PLAIN.fullmatch(value)}
    fitting = [resources for resources, labels in nodes if plain.items() <= labels.items()]
    if nodes and not fitting:
        asked = ", ".join(f"{name}: {value}" for name, value in plain.items())
        return f"{need.labels_key}={{{asked}}}: no node of this Ray has such labels"
    for key, (resource, amount) in need.amounts.items():
        most = max((node.get(resource, 0.0) for node in fitting), default=0.0)
        if amount > most:
            if resource.startswith("accelerator_type:"):
                return f"{key}={resource.partition(':')[2]}: no node of this Ray has such a GPU"
            has = f"more than {most:g} {resource}s" if most else f"a {resource}"
            return f"{key}={amount:g}: no node of this Ray has {has}"
    wanted = {resource: amount for resource, amount in need.amounts.values() if amount}
    places = sum(
        min((int(node.get(resource, 0.0) / amount + 1e-9) for resource, amount in wanted.items()), default=0)
        for node in fitting
    )
    if places < need.workers and need.workers_key:
        return f"{need.workers_key}={need.workers}: the nodes of this Ray have room for {places} of them"
    return None
