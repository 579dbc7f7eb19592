"""What has no public door in Ray: the one file that may import Ray's private modules, checked with each new version."""

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ray
from ray.job_config import JobConfig
from ray.train import UserCallback

# Loggers that tell what ends a job in tracebacks, which its last line tells as well.
TELLING_FAILURES = ("ray.data.exceptions", "ray.data._internal.execution.streaming_executor_state")
# Loggers of reports that repeat what a job says itself.
TALKATIVE = ("ray.data._internal.progress", "ray._private.authentication")
# Loggers of what a busy machine delays and Ray tries again, with a traceback.
RETRYING = ("ray.train.v2._internal.execution.scaling_policy.autoscaling_coordinator_client",)

# What a head answers whatever its state.
CHECK_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
AUTH_MODE = "RAY_AUTH_MODE"


def head_of(address: str) -> str:
    """`host:port` of the head that `address` means. Raises ConnectionError or ValueError where it means none."""
    from ray._private.services import canonicalize_bootstrap_address

    found = canonicalize_bootstrap_address(address)
    if found is None:
        raise ConnectionError("no Ray runs on this machine")
    return found


def use_token() -> None:
    """Let this process, and those that it starts, show the token that it has, although Ray has looked already."""
    os.environ[AUTH_MODE] = "token"
    ray._raylet.Config.initialize("")


def own_node() -> Any:
    """The node of the local Ray that this process has started, or the one that it is connected to."""
    return ray._private.worker._global_node


def has_dashboard() -> bool:
    """Whether the Ray that this process is connected to has a dashboard."""
    return bool(ray._private.worker.get_dashboard_url())


def without_current_folder() -> JobConfig:
    """A job whose processes import what the driver imports, whatever lies in the folder that it was started in.

    Ray puts the current folder and the script's before everything else, and a `models` there would be taken for ours.
    """
    config = JobConfig()
    config._py_driver_sys_path = _OnlyOurs()
    return config


class _OnlyOurs(list[str]):
    """A path of modules that takes only the folder that this project is imported from."""

    def extend(self, folders: Iterable[str]) -> None:
        ours = Path(__file__).parents[2]
        super().extend(folder for folder in folders if Path(folder) == ours)


def is_being_preempted() -> bool:
    """Whether the node of some worker of this training is about to be taken away.

    Ray's public question needs all workers at the same place, so it cannot be asked at every step.
    """
    from ray.train.v2._internal.execution.context import get_train_context

    return get_train_context().preemption_context.preemption_info is not None


class InOneLine(UserCallback):
    """A callback that does nothing but arrive: the controller of a training then warns of what it retries in one line.

    Ray makes its callbacks first of all in the controller's process, before anything there can warn.
    """

    def __reduce__(self) -> tuple[Callable[[], "InOneLine"], tuple[()]]:
        """What makes the callback in another process, its loggers there included."""
        return _in_one_line, ()


def _in_one_line() -> InOneLine:
    for name in RETRYING:
        logging.getLogger(name).addFilter(_without_traceback)
    return InOneLine()


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True


def worth_calling(callbacks: list[Any]) -> list[Any]:
    """Of Ray Train's default callbacks, those that have something to do in this Ray.

    The cleaner of placement groups asks the dashboard's server whether the controller lives, and warns each second
    that nobody answers. In a Ray without one, which ends with this process, there is nothing to clean up.
    """
    from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

    if has_dashboard():
        return callbacks
    return [callback for callback in callbacks if not isinstance(callback, PlacementGroupCleanerCallback)]
