"""The presets in `configs/` against the dataclasses and against the paper's section 4."""

import pytest

from models.deformable_detr import DeformableDETR
from models.loss_config import TermWeights
from models.tp2detr import TP2DETR, TP2DETRConfig, TP2DETRLossConfig
from pipeline.compose import compose_config
from pipeline.detector.build import build
from pipeline.training.settings import TrainConfig

REQUIRED = ["run=r", "store=s", "dataset.annotations=a"]
SMALL = ["model.dim=32", "model.ffn_dim=32", "model.encoder_layers=1"]


def composed(*words: str) -> TrainConfig:
    return compose_config("train", TrainConfig, [*REQUIRED, *words])


def test_the_model_preset_holds_the_defaults_of_model_and_loss() -> None:
    config = composed("model=tp2detr")
    assert config.model == TP2DETRConfig()
    assert config.loss == TP2DETRLossConfig()


@pytest.mark.parametrize("pyramid", ["direct", "convolution", "sgp", "transformer"])
def test_the_released_code_is_a_preset_with_every_pyramid(pyramid: str) -> None:
    config = composed("model=tp2detr_released_code", f"model.pyramid={pyramid}")
    assert config.loss == TP2DETRLossConfig(loss=TermWeights(classification=3.0, l1=5.0, tiou=2.0))
    small = composed("model=tp2detr_released_code", f"model.pyramid={pyramid}", *SMALL)
    detector = build(small.model, input_dim=8, num_classes=1, bf16=False).detector
    assert detector.config == TP2DETRConfig(
        pyramid=pyramid, stem="released", dim=32, ffn_dim=32, encoder_layers=1
    )
    stem = {"direct": 0, "convolution": 4, "sgp": 1, "transformer": 1}[pyramid]
    assert len(getattr(detector.deformable_detr.pyramid, "stem", ())) == stem


@pytest.mark.parametrize("split", [50, 75])
@pytest.mark.parametrize("dataset", ["thumos14", "activitynet"])
def test_experiments_train_as_the_paper_says(dataset: str, split: int) -> None:
    config = composed(f"experiment=tp2detr_{dataset}_{split}", "model.dim=32", "model.ffn_dim=32")
    optimiser = config.optimiser
    assert (optimiser.lr, optimiser.pyramid_lr, optimiser.slow_factor) == (1e-4, 2e-5, 0.1)
    assert (optimiser.epochs, optimiser.drop_epochs, optimiser.drop_factor) == (35, (30,), 0.1)
    assert (optimiser.batch_size, optimiser.weight_decay, optimiser.clip_norm) == (16, 1e-4, 0.1)
    assert config.class_agnostic
    assert (config.dataset.name, config.dataset.zero_shot.lists) == (dataset, f"{dataset}_{split}")
    if dataset == "thumos14":
        assert (config.windows.mode, config.windows.length, config.windows.test_last) == (
            "sliding",
            128,
            "pad",
        )
        assert (config.merge.nms_tiou, config.merge.across_classes) == (0.4, True)
    else:
        assert (config.windows.mode, config.windows.length) == ("rescale", 256)
    detector = build(config.model, 8, 1, bf16=False).detector
    assert type(detector) is TP2DETR
    assert config.merge.window_top_k == detector.config.num_queries
    table_2 = {
        name: getattr(detector.config, name)
        for name in ("num_levels", "window", "encoder_layers", "decoder_layers", "encoder_points")
    } | {name: getattr(detector.config, name) for name in ("decoder_points", "num_queries")}
    expected = {"thumos14": (4, 9, 3, 5, 4, 4, 40), "activitynet": (4, 17, 2, 3, 4, 6, 30)}[dataset]
    assert tuple(table_2.values()) == expected
    salience = {"thumos14": (3.0, "nearest"), "activitynet": (2.0, "linear")}[dataset]
    assert (config.loss.salience.weight, detector.config.salience_upsampling) == salience
    assert config.loss.loss == TermWeights(classification=2.0, l1=5.0, tiou=2.0)


def test_the_baseline_of_the_experiment_is_the_baseline() -> None:
    config = composed("experiment=tp2detr_thumos14_50", "model=deformable_detr", "model.dim=32")
    assert type(build(config.model, 8, 1, bf16=False).detector) is DeformableDETR
    assert config.optimiser.pyramid_lr == 2e-5  # without effect: its pyramid has no parameters


def test_the_tiny_preset_takes_every_pyramid() -> None:
    for pyramid in ("direct", "convolution", "sgp", "transformer"):
        config = composed("model=tp2detr_tiny", f"model.pyramid={pyramid}")
        assert build(config.model, 8, 1, bf16=False).detector.config.pyramid == pyramid
