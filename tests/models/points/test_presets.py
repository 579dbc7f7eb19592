"""The presets of point detectors against the dataclasses and against the settings of their released code."""

import pytest

from models.actionformer import ActionFormerConfig, ActionFormerLossConfig
from models.tridet import TriDetConfig, TriDetLossConfig
from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.training.settings import TrainConfig

REQUIRED = ["run=r", "store=s", "dataset.annotations=a"]


def composed(*words: str) -> TrainConfig:
    return compose_config("train", TrainConfig, [*REQUIRED, *words])


def test_the_model_presets_hold_the_defaults_of_model_and_loss() -> None:
    actionformer, tridet = composed("model=actionformer"), composed("model=tridet")
    assert (actionformer.model, actionformer.loss) == (ActionFormerConfig(), ActionFormerLossConfig())
    assert (tridet.model, tridet.loss) == (TriDetConfig(), TriDetLossConfig())
    temporalmaxer = composed("model=temporalmaxer").model
    assert temporalmaxer == ActionFormerConfig(pyramid="max_pool", stem_blocks=0)
    several = composed("model=tridet_multilabel")
    assert several.model == TriDetConfig(regression_per_class=True)
    assert several.loss == TriDetLossConfig(regression_per_class=True)


@pytest.mark.parametrize(
    ("experiment", "epochs", "warmup", "cosine", "decay", "top_k", "kept"),
    [
        ("actionformer_thumos14", 35, 5, 35, 0.05, 2000, 200),
        ("actionformer_multithumos", 45, 5, 65, 0.05, 8000, 8000),
        ("temporalmaxer_thumos14", 35, 5, 35, 0.05, 2000, 200),
        ("temporalmaxer_multithumos", 35, 5, 35, 0.05, 3000, 300),
        ("tridet_thumos14", 40, 20, 40, 0.025, 2000, 2000),
        ("tridet_multithumos", 46, 20, 46, 0.025, 8000, 8000),
    ],
)
def test_experiments_train_as_the_released_code(
    experiment: str, epochs: int, warmup: int, cosine: int, decay: float, top_k: int, kept: int
) -> None:
    config = composed(f"experiment={experiment}")
    optimiser, windows, merge = config.optimiser, config.windows, config.merge
    assert (optimiser.lr, optimiser.batch_size, optimiser.clip_norm) == (1e-4, 2, 1.0)
    assert (optimiser.weight_decay, optimiser.decay_on) == (decay, "weights")
    assert (optimiser.epochs, optimiser.warmup_epochs, optimiser.cosine_epochs) == (epochs, warmup, cosine)
    assert (optimiser.ema_decay, optimiser.ema_ramp) == (0.999, False)
    assert (windows.mode, windows.crop, windows.crop_part, windows.min_visible) == (
        "whole",
        2304,
        (0.9, 1.0),
        0.5,
    )
    assert windows.crop_margin == (0.0 if "tridet" in experiment else 2.0)
    assert (merge.window_top_k, merge.video_top_k, merge.min_score) == (top_k, kept, 0.001)
    assert (merge.rivals, merge.soft_nms, merge.across_classes) == ("all", 0.5, False)
    detector, dataset = experiment.split("_")
    assert config.dataset.name == dataset
    assert config.model.name == ("actionformer" if detector == "temporalmaxer" else detector)
    assert (config.model.name == "actionformer" and config.model.pyramid == "max_pool") == (
        detector == "temporalmaxer"
    )


@pytest.mark.parametrize("model", ["actionformer_tiny", "temporalmaxer_tiny", "tridet_tiny"])
def test_tiny_presets_are_those_of_an_experiment(model: str) -> None:
    config = composed("experiment=demo", f"model={model}")
    assert config.model.dim == 128
    assert config.model.num_levels == config.loss.num_levels == 5
    assert config.windows.mode == "sliding"
    assert config.merge.rivals == "all"


def test_a_loss_for_other_levels_is_told_in_a_line() -> None:
    with pytest.raises(InputError, match=r"loss.num_levels \(6\) must be model.num_levels \(5\)"):
        composed("model=actionformer", "model.num_levels=5")
    with pytest.raises(InputError, match=r"loss.regression_per_class \(False\) must be"):
        composed("model=tridet", "model.regression_per_class=true")
