"""The table of detectors: each is built from its config, and its loss from its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from models.detectors import DETECTORS, build_criterion, build_detector


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_detector_and_its_criterion_are_built_from_their_configs(name: str) -> None:
    kind = DETECTORS[name]
    detector, criterion = kind.load()
    config, loss = kind.config.tiny(), kind.loss()
    assert (config.name, loss.name) == (name, name)
    built = build_detector(config, 16, 1)
    assert type(built) is detector
    assert built.config == config
    supervised = build_criterion(loss)
    assert type(supervised) is criterion
    assert supervised.config == loss


def test_settings_are_known_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import models.detectors, sys; print('torch' in sys.modules)"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
