"""The presets in `configs/` against the dataclasses and against the paper's section 4.1."""

from dataclasses import replace

import pytest

from models.dualdetr import DualDETRConfig
from pipeline.compose import compose_config
from pipeline.detector.build import build
from pipeline.training.settings import TrainConfig
from tests.models.dualdetr.cases import LOSS

REQUIRED = ["run=r", "store=s", "dataset.annotations=a"]


def composed(*words: str) -> TrainConfig:
    return compose_config("train", TrainConfig, [*REQUIRED, *words])


def test_the_model_preset_holds_the_defaults_and_the_loss_of_the_paper() -> None:
    config = composed("model=dualdetr")
    assert config.model == DualDETRConfig()
    assert config.loss == LOSS


def test_what_goes_beyond_the_paper_is_a_preset_of_its_own_in_any_experiment() -> None:
    plain = composed("experiment=dualdetr_multithumos")
    plus = composed("experiment=dualdetr_multithumos", "model=dualdetr_plus")
    assert plus.model == replace(
        plain.model, decoder_dropout=0.0, detach_content_init=False, proposal_tiou=0.7, classes_from="both",
        segment_pooling=True, branch_memory="all", time_slots=True, look_forward_twice=True,
    )  # fmt: skip
    assert plus.loss == replace(plain.loss, encoder_matches=4, shared_tiou=0.7)
    assert plus.optimiser == plain.optimiser


@pytest.mark.parametrize(
    ("dataset", "windows", "epochs", "drop"),
    [
        ("multithumos", {"mode": "sliding", "length": 256, "train_step": 192, "test_step": 64}, 30, 27),
        ("charades", {"mode": "whole"}, 30, 27),
        ("tsu", {"mode": "sliding", "length": 96, "train_step": 72, "test_step": 24}, 20, 17),
    ],
)
def test_experiments_train_as_the_paper_says(
    dataset: str, windows: dict[str, object], epochs: int, drop: int
) -> None:
    config = composed(f"experiment=dualdetr_{dataset}", "model.dim=32", "model.encoder_layers=1")
    optimiser = config.optimiser
    assert config.dataset.name == dataset
    assert config.windows.model_dump().items() >= windows.items()
    assert (optimiser.lr, optimiser.weight_decay) == (2e-4, 0.05)
    assert (optimiser.epochs, optimiser.drop_epochs, optimiser.drop_factor) == (epochs, (drop,), 0.1)
    assert config.loss == LOSS
    assert type(build(config.model, 8, 3, bf16=False).detector.config) is DualDETRConfig
