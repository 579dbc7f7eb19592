"""How a job reaches Ray: the cluster that it was submitted to, the one that it names, or a small local one."""

import logging
import os

import ray
from ray.exceptions import RaySystemError

from pipeline import stopping
from pipeline.cluster.insides import TALKATIVE, TELLING_FAILURES, own_node, without_current_folder
from pipeline.cluster.reach import check_reachable
from pipeline.cluster.settings import RayConfig
from pipeline.cluster.watch import check_room, watch
from pipeline.errors import InputError
from pipeline.outages import first_line
from pipeline.screen import divert_ray, phase
from pipeline.settings import SUBMITTED

logger = logging.getLogger(__name__)

# Stages of a streaming graph (reading, filtering, decoding, actors, writing) each need a slot to make progress.
_LEAST_SLOTS = 4
# Ray prints the native stack of a process that gets SIGTERM, as any job does that is to end.
_NO_NATIVE_STACKS = "RAY_DISABLE_FAILURE_SIGNAL_HANDLER"
_NO_COLOURS = "RAY_COLOR_PREFIX"


def connect(config: RayConfig) -> None:
    """Join the Ray that the command or the environment names, or start one of this job's own; say which.

    A Ray that merely runs on this machine is not joined: it may be somebody else's. Nothing happens where this process
    is connected already. Raises InputError where there is no Ray at the address.
    """
    quiet_data_progress()
    if ray.is_initialized():
        return
    os.environ.setdefault(_NO_NATIVE_STACKS, "1")
    os.environ.setdefault(_NO_COLOURS, "0")
    address = config.address or os.environ.get("RAY_ADDRESS") or None
    if address is None and SUBMITTED in os.environ:
        address = "auto"
    if SUBMITTED not in os.environ:  # whose output is a log already
        divert_ray()
    local = address is None or address == "local"
    with phase("starting Ray" if local else f"joining the Ray at {address}"):
        if address is None or local:
            _start(config)
        else:
            _join(address)
    stopping.rearm()


def _join(address: str) -> None:
    how = {}
    if SUBMITTED not in os.environ:  # a submitted job has a folder of its own and stands beside its Ray
        check_reachable(address)
        how = {"job_config": without_current_folder()}
    try:
        ray.init(address=address, log_to_driver=True, logging_level=logging.WARNING, **how)
    except (ConnectionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"ray.address={address}: no Ray can be joined there ({reason})") from error
    cpus = ray.cluster_resources().get("CPU", 0)
    logger.info("joined the Ray at %s (%g CPUs)", address, cpus)
    if cpus < _LEAST_SLOTS:
        logger.warning(
            "this Ray has %g CPUs, and a job may need %d to make progress: it waits unless more are added",
            cpus, _LEAST_SLOTS,
        )  # fmt: skip


def _start(config: RayConfig) -> None:
    check_room()
    slots = max(_LEAST_SLOTS, config.cpus or os.cpu_count() or 1)
    try:
        ray.init(
            address="local",
            num_cpus=slots,
            object_store_memory=config.object_store_mb * 2**20 if config.object_store_mb else None,
            include_dashboard=False,
            job_config=without_current_folder(),
            logging_level=logging.WARNING,
        )
    except Exception as error:  # a plain one, where a machine is too busy for Ray's patience
        raise RaySystemError(f"a local Ray did not start: {first_line(error)}") from error
    watch(own_node())
    few = f", the fewest with which all stages of a job can run, not {config.cpus}"
    logger.info(
        "started a local Ray with %d slots for CPUs%s; ray.address=auto joins one that runs already",
        slots, few if config.cpus is not None and config.cpus < slots else "",
    )  # fmt: skip


def quiet_data_progress() -> None:
    """Keep Ray Data from reports of its own: a line of the screen tells how far a job is.

    What ends a job is told by the job's last line; Ray's three tracebacks of it go to Ray's log file alone.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # It advises changes to `memory=`, which here is a share of the node and not a limit.
    context.issue_detectors_config.high_memory_detector_config.detection_time_interval_s = -1
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in TELLING_FAILURES:
        logging.getLogger(name).addFilter(_hide_from_console)


def _hide_from_console(record: logging.LogRecord) -> bool:
    record.hide = True
    return True
