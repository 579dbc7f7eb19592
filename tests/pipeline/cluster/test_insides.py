"""What Ray itself says on the console of a job."""

import importlib
from unittest import mock

import pytest
import ray
from ray import cloudpickle
from ray.exceptions import GetTimeoutError
from ray.train import ScalingConfig

from pipeline.cluster.insides import RETRYING, InOneLine


def test_what_the_controller_retries_on_a_busy_machine_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    client = importlib.import_module(RETRYING[0]).TrainAutoscalingCoordinatorClient("a training")
    client.__dict__["_autoscaling_coordinator"] = mock.MagicMock()
    cloudpickle.loads(cloudpickle.dumps(InOneLine()))
    with mock.patch.object(ray, "get", side_effect=GetTimeoutError("some object(s) not ready")):
        client.send_resource_request(ScalingConfig(num_workers=1), 1)
    assert "Failed to send resource request" in caplog.text
    assert "Traceback" not in caplog.text
