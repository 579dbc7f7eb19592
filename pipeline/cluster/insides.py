"""What has no public door in Ray: the one file that may import Ray's private modules, checked with each new version."""

from typing import Any

import ray

# Loggers that tell what ends a job in tracebacks, which its last line tells as well.
TELLING_FAILURES = ("ray.data.exceptions", "ray.data._internal.execution.streaming_executor_state")
# Loggers of reports that repeat what a job says itself.
TALKATIVE = ("ray.data._internal.progress", "ray._private.authentication")


def own_node() -> Any:
    """The node of the local Ray that this process has started, or the one that it is connected to."""
    return ray._private.worker._global_node


def has_dashboard() -> bool:
    """Whether the Ray that this process is connected to has a dashboard."""
    return bool(ray._private.worker.get_dashboard_url())


def worth_calling(callbacks: list[Any]) -> list[Any]:
    """Of Ray Train's default callbacks, those that have something to do in this Ray.

    The cleaner of placement groups asks the dashboard's server whether the controller lives, and warns each second
    that nobody answers. In a Ray without one, which ends with this process, there is nothing to clean up.
    """
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

    if has_dashboard():
        return callbacks
    return [callback for callback in callbacks if not isinstance(callback, PlacementGroupCleanerCallback)]
