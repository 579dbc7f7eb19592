"""Actors compute where Ray put them."""

import pytest
import ray
import torch

from pipeline.cluster.device import given_device


@pytest.mark.parametrize(
    ("in_ray", "given", "usable", "device", "warns"),
    [
        (True, [0], True, "cuda", False),
        (True, [], True, "cpu", False),  # it asked for none, and others have them
        (True, [0], False, "cpu", True),
        (True, [], False, "cpu", False),
        (False, [], True, "cuda", False),
        (False, [], False, "cpu", False),
    ],
)
def test_the_gpu_is_used_that_ray_gave(
    in_ray: bool,
    given: list[int],
    usable: bool,
    device: str,
    warns: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: in_ray)
    monkeypatch.setattr(ray, "get_gpu_ids", lambda: given)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    assert given_device().type == device
    assert bool(caplog.records) is warns
