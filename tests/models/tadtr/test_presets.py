"""The presets in `configs/` against the dataclasses and against the released code's settings."""

from models.loss_config import TermWeights
from models.tadtr import TadTRConfig, TadTRLossConfig
from pipeline.compose import compose_config
from pipeline.training.settings import TrainConfig

REQUIRED = ["run=r", "store=s", "dataset.annotations=a"]


def composed(*words: str) -> TrainConfig:
    return compose_config("train", TrainConfig, [*REQUIRED, *words])


def test_the_model_preset_holds_the_defaults_of_model_and_loss() -> None:
    config = composed("model=tadtr")
    assert config.model == TadTRConfig()
    assert config.loss == TadTRLossConfig()
    assert config.loss.match == TermWeights(classification=6.0, l1=5.0, tiou=2.0)


def test_the_released_code_is_a_preset() -> None:
    assert composed("model=tadtr_released_code").loss == TadTRLossConfig(actionness_truth="batch")


def test_thumos14_is_trained_as_by_the_released_code() -> None:
    config = composed("experiment=tadtr_thumos14")
    windows, optimiser, merge = config.windows, config.optimiser, config.merge
    assert (windows.length, windows.train_step, windows.test_step) == (128, 32, 96)
    assert (windows.train_last, windows.test_last, windows.min_visible) == ("shift", "pad", 0.75)
    assert (merge.window_top_k, merge.nms_tiou, merge.rivals) == (100, 0.4, "overlaps")
    assert (optimiser.lr, optimiser.slow_factor, optimiser.weight_decay) == (2e-4, 0.1, 1e-4)
    assert (optimiser.epochs, optimiser.drop_epochs, optimiser.batch_size) == (16, (14,), 16)
    assert optimiser.clip_norm == 0.1
    assert config.dataset.name == "thumos14"


def test_multithumos_takes_the_windows_of_its_comparison() -> None:
    config = composed("experiment=tadtr_multithumos")
    theirs = composed("experiment=dualdetr_multithumos")
    assert config.windows == theirs.windows
    assert config.model == TadTRConfig(num_queries=theirs.model.num_queries)
    assert config.merge.window_top_k == 200


def test_the_tiny_preset_is_one_of_an_experiment() -> None:
    config = composed("experiment=demo", "model=tadtr_tiny")
    assert (config.model.name, config.model.dim, config.loss.name) == ("tadtr", 128, "tadtr")
