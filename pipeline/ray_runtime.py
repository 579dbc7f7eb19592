"""How a job reaches Ray: the cluster that it was submitted to, the one that it names, or a small local one."""

import logging
import os
import sys

import ray
from ray.data._internal.issue_detection.detectors.high_memory_detector import HighMemoryIssueDetector

from pipeline.config import RayConfig

# Stages of a streaming graph (reading, decoding, actors, writing) each need a slot to make progress.
_LEAST_SLOTS = 4


def connect(config: RayConfig) -> None:
    """Join or start Ray; nothing happens where this process is connected already."""
    quiet_data_progress()
    if ray.is_initialized():
        return
    address = config.address or os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, log_to_driver=True, logging_level=logging.WARNING)
        return
    ray.init(
        num_cpus=config.cpus or max(_LEAST_SLOTS, os.cpu_count() or 1),
        object_store_memory=config.object_store_mb * 2**20 if config.object_store_mb else None,
        include_dashboard=False,
        logging_level=logging.WARNING,
    )


def quiet_data_progress() -> None:
    """Keep Ray's own reports to progress bars on terminals; elsewhere `pipeline.progress` tells in a line."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = sys.stdout.isatty()
    context.print_on_execution_start = False
    # It advises changes to `memory=`, which here is a share of the node and not a limit.
    detectors = context.issue_detectors_config.detectors
    context.issue_detectors_config.detectors = [d for d in detectors if d is not HighMemoryIssueDetector]
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
