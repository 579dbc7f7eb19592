"""Ray's nested errors become one line that tells what died."""

import os

import pytest
import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RaySystemError, RayTaskError, WorkerCrashedError
from ray.train import TrainingFailedError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from pipeline.cluster.failures import describe, is_from_cluster, own_error
from pipeline.cluster.runtime import connect, quiet_data_progress
from pipeline.cluster.settings import RayConfig
from pipeline.errors import InputError
from pipeline.outages import OutageError


def raised_by(work, *, retries: int = 0) -> BaseException:
    """What `ray.get` raises for a task."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        ray.get(ray.remote(max_retries=retries)(work).remote())
    return caught.value


def test_input_errors_of_tasks_are_the_users(ray_local: None) -> None:
    def work() -> None:
        raise InputError("weights=x: not found")

    error = raised_by(work)
    assert isinstance(error, RayTaskError)
    assert str(own_error(error)) == "weights=x: not found"


def test_input_errors_of_actors_are_the_users_too(ray_local: None) -> None:
    class Actor:
        def __init__(self) -> None:
            raise InputError("weights=x: not found")

        def work(self) -> None: ...

    with pytest.raises(RayActorError) as caught:
        ray.get(ray.remote(Actor).remote().work.remote())
    assert str(own_error(caught.value)) == "weights=x: not found"


def test_dead_workers_and_actors_are_told_in_a_line(ray_local: None) -> None:
    error = raised_by(lambda: os._exit(3))
    assert isinstance(error, WorkerCrashedError)
    assert describe(error).startswith("a worker process died, again and again (")

    class Actor:
        def work(self) -> None:
            os._exit(3)

    with pytest.raises(RayActorError) as caught:
        ray.get(ray.remote(Actor).remote().work.remote())
    assert describe(caught.value).startswith("an actor died, again and again (")
    assert own_error(caught.value) is None
    for line in (describe(error), describe(caught.value)):
        assert "\n" not in line
        assert len(line) < 400


def test_a_bug_in_a_task_is_named(ray_local: None) -> None:
    error = raised_by(lambda: {}["missing"])
    assert is_from_cluster(error)
    assert describe(error) == "a task failed (KeyError: 'missing')"


def test_the_cause_that_explains_most_is_told() -> None:
    memory = OutOfMemoryError(
        "Task was killed due to the node running low on memory.\nMemory on the node was ..."
    )
    for error in (
        ControllerError(memory),
        WorkerGroupError("two workers failed", {0: RayActorError(), 1: memory}),
    ):
        assert isinstance(error, TrainingFailedError)
        assert is_from_cluster(error)
        assert describe(error).startswith(
            "Ray killed a worker because its node ran out of memory (Task was killed"
        )
    assert describe(WorkerGroupError("x", {0: ValueError("odd")})) == "training failed (ValueError: odd)"


def test_errors_of_this_process_are_not_the_clusters() -> None:
    assert not is_from_cluster(KeyError("x"))


def test_what_ends_a_job_is_told_by_its_last_line_alone(
    ray_local: None, capfd: pytest.CaptureFixture[str]
) -> None:
    def work(row: dict) -> dict:
        raise OutageError("s3://a: has not answered for 60 s")

    quiet_data_progress()
    with pytest.raises(Exception) as caught:  # noqa: PT011
        ray.data.range(1).map(work).materialize()
    assert str(own_error(caught.value)).startswith("s3://a: has not answered for 60 s")
    said = "".join(capfd.readouterr())
    assert "Traceback" not in said
    assert "Dataset execution will now abort" not in said


def test_a_ray_that_does_not_start_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(**_: object) -> None:
        raise Exception("The current node timed out during startup.\nIt may be overloaded.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", busy)
    with pytest.raises(RaySystemError) as caught:
        connect(RayConfig(address="local"))
    assert is_from_cluster(caught.value)
    told = describe(caught.value)
    assert told.startswith("Ray failed (")
    assert "a local Ray did not start: The current node timed out during startup." in told
    assert "\n" not in told
