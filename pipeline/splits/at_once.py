"""Several splits at a time: each in a process of its own, which joins the Ray of this one."""

import logging
import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import mkdtemp

import ray

from pipeline import stopping
from pipeline.cluster.failures import describe, is_from_cluster, own_error
from pipeline.cluster.runtime import connect
from pipeline.errors import InputError
from pipeline.outages import OutageError
from pipeline.splits.settings import SplitsConfig

logger = logging.getLogger(__name__)

Work = Callable[[SplitsConfig, int], bool]

# A job that is told to end has half a minute, and a training that is told so 20 s for its checkpoint.
_END_SECONDS = 25.0


class BrokenSplitError(OutageError):
    """A split whose process has died or broke; the same command goes on."""


def run_at_once(work: Work, config: SplitsConfig, splits: Sequence[int]) -> dict[int, bool]:
    """What `work(config, split)` gives for each split, `config.parallel` of them at a time.

    Raises InputError, OutageError or BrokenSplitError as the first split that fails does; the others are told to end.
    """
    connect(config.ray)
    address = ray.get_runtime_context().gcs_address
    joined = config.model_copy(update={"ray": config.ray.model_copy(update={"address": address})})
    folder = Path(mkdtemp(prefix="raytad-splits-"))
    logger.info("what the splits say meanwhile goes to %s", folder)
    context = multiprocessing.get_context("spawn")
    waiting, done = list(splits), dict[int, bool]()
    running: dict[Connection, tuple[int, SpawnProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < config.parallel:
                split = waiting.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                log = folder / f"split_{split}.log"
                process = context.Process(target=_in_process, args=(work, joined, split, log, sender))
                process.start()
                sender.close()
                running[receiver] = (split, process)
            for answer in wait(list(running)):
                assert isinstance(answer, Connection)
                split, process = running.pop(answer)
                done[split] = _result(answer, split, folder)
                process.join()
                logger.info("split %d is done, %d of %d", split, len(done), len(splits))
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join(_END_SECONDS)
            process.kill()
    return done


def _result(answer: Connection, split: int, folder: Path) -> bool:
    try:
        result = answer.recv()
    except EOFError:
        raise BrokenSplitError(f"split {split}: its process died; {folder}/split_{split}.log") from None
    if isinstance(result, Exception):
        raise result
    return bool(result)


def _in_process(work: Work, config: SplitsConfig, split: int, log: Path, answer: Connection) -> None:
    with log.open("wb") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    stopping.arm("splits")
    try:
        answer.send(work(config, split))
    except Exception as error:
        traceback.print_exc()
        answer.send(_in_a_line(error, split, log))
    except KeyboardInterrupt:
        pass  # it was told to end, and nobody waits for its answer
    finally:
        ray.shutdown()


def _in_a_line(error: Exception, split: int, log: Path) -> Exception:
    """An error that crosses processes and needs no traceback."""
    own = own_error(error) or error
    if isinstance(own, InputError):
        return InputError(f"split {split}: {own}")
    if isinstance(own, OutageError):
        return OutageError(f"split {split}: {own}")
    reason = describe(error) if is_from_cluster(error) else f"{type(error).__name__}: {error}"
    return BrokenSplitError(f"split {split}: broke ({reason}); {log} has all")
