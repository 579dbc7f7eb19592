"""What Ray's own autoscaler starts on a rendered cluster: private parts of the pinned Ray, run without a cluster."""

from dataclasses import dataclass

from tests.k8s.entrypoints import Demand
from tests.k8s.rendering import Document

_MOVED = "Ray's autoscaler has moved; look for its parts in the new version and mend tests/k8s/scaling.py"


@dataclass(frozen=True)
class Started:
    """What the autoscaler decides: nodes to start by group, and stages whose demand no group can meet."""

    nodes: dict[str, int]
    infeasible: tuple[dict[str, float], ...]


def started(cluster: Document, demands: list[Demand]) -> Started:
    """The nodes that start from none for these demands at once."""
    try:
        from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
        from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
        from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
        from ray.autoscaler.v2.utils import ResourceRequestUtil
        from ray.core.generated.autoscaler_pb2 import GangResourceRequest
        from ray.core.generated.common_pb2 import LabelSelectorOperator
    except ImportError as error:
        raise AssertionError(_MOVED) from error
    derived = _derive_autoscaling_config_from_ray_cr(
        {"metadata": {"name": "raytad", "namespace": "raytad"}, "spec": cluster}
    )
    config = AutoscalingConfig(derived, skip_content_hash=True)
    single, gangs = [], []
    for demand in demands:
        selector = [
            (key, LabelSelectorOperator.Value("LABEL_OPERATOR_IN"), [value])
            for key, value in demand.labels.items()
        ]
        requests = [
            ResourceRequestUtil.make(demand.resources, label_selectors=[selector] if selector else None)
            for _ in range(demand.count)
        ]
        if demand.together:
            gangs.append(GangResourceRequest(requests=requests))
        else:
            single += requests
    reply = ResourceDemandScheduler().schedule(
        SchedulingRequest(
            disable_launch_config_check=True,
            node_type_configs=config.get_node_type_configs(),
            max_num_nodes=config.get_max_num_nodes(),
            resource_requests=ResourceRequestUtil.group_by_count(single),
            gang_resource_requests=gangs,
        )
    )
    lost = [dict(request.resources_bundle) for request in reply.infeasible_resource_requests]
    lost += [
        dict(request.resources_bundle)
        for gang in reply.infeasible_gang_resource_requests
        for request in gang.requests
    ]
    nodes = {
        launch.instance_type: launch.count
        for launch in reply.to_launch
        if launch.instance_type != "headgroup"
    }
    return Started(nodes, tuple(lost))
