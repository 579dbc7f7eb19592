"""Many small pieces of work in Ray tasks, for steps that are not a Ray Data graph."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import ray
from ray.exceptions import RayTaskError

from pipeline.errors import InputError
from pipeline.outages import OutageError, be_patient

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_batches(
    work: Callable[[list[Item]], Result],
    items: Sequence[Item],
    batch_size: int,
    cpus: float,
    labels: dict[str, str] | None = None,
) -> Iterator[Result]:
    """`work` of each run of `batch_size` items, in tasks of `cpus` CPUs; results come as they finish.

    The tasks run on nodes that have these Ray labels. A few for each CPU of the cluster are in flight, so `items` may
    be many. An InputError or OutageError that `work` raises is raised here as it was.
    """

    @ray.remote(num_cpus=cpus, max_retries=3, label_selector=labels)
    def task(batch: list[Item]) -> Result:
        be_patient()
        return work(batch)

    batches = (list(items[i : i + batch_size]) for i in range(0, len(items), batch_size))
    limit = max(4, int(4 * ray.cluster_resources().get("CPU", 1))) if items else 0
    running: list[ray.ObjectRef] = []
    while True:
        while len(running) < limit and (batch := next(batches, None)) is not None:
            running.append(task.remote(batch))
        if not running:
            return
        ready, running = ray.wait(running)
        try:
            yield ray.get(ready[0])
        except RayTaskError as error:
            if isinstance(error.cause, InputError | OutageError):
                raise error.cause from None
            raise
