"""The presets in `configs/` against the dataclasses and against the released code's settings."""

from dataclasses import replace

import pytest

from models.gap import GAPConfig, GAPLossConfig
from models.tp2detr.config import SalienceConfig
from pipeline.compose import compose_config
from pipeline.training.settings import TrainConfig

REQUIRED = ["run=r", "store=s", "dataset.annotations=a"]


def composed(*words: str) -> TrainConfig:
    return compose_config("train", TrainConfig, [*REQUIRED, *words])


def test_the_model_preset_holds_the_defaults_of_model_and_loss() -> None:
    config = composed("model=gap")
    assert config.model == GAPConfig()
    assert config.loss == GAPLossConfig()
    assert composed("experiment=demo", "model=gap_tiny").model.dim == 128


@pytest.mark.parametrize("split", [50, 75])
def test_thumos14_has_the_windows_and_classes_of_tp2detr(split: int) -> None:
    config, theirs = (
        composed(f"experiment=gap_thumos14_{split}"),
        composed(f"experiment=tp2detr_thumos14_{split}"),
    )
    assert config.model == GAPConfig()
    assert config.class_agnostic
    assert (config.dataset, config.windows, config.merge) == (theirs.dataset, theirs.windows, theirs.merge)
    optimiser = config.optimiser
    assert (optimiser.lr, optimiser.slow_factor, optimiser.pyramid_lr) == (1e-4, 1.0, None)
    assert (optimiser.epochs, optimiser.drop_epochs, optimiser.batch_size) == (100, (40, 80), 16)


@pytest.mark.parametrize("split", [50, 75])
def test_activitynet_is_trained_as_by_the_released_code(split: int) -> None:
    config = composed(f"experiment=gap_activitynet_{split}")
    assert config.model == GAPConfig(decoder_layers=2, num_queries=30, convolve=True)
    assert config.loss == replace(
        GAPLossConfig(), salience=SalienceConfig(weight=2.0, pyramid=0.0, encoder=1.0)
    )
    assert (config.windows.mode, config.windows.length, config.merge.window_top_k) == ("rescale", 300, 30)
    assert (config.optimiser.lr, config.optimiser.pyramid_lr) == (5e-5, 1e-2)
    assert config.dataset.zero_shot.lists == f"activitynet_{split}"
