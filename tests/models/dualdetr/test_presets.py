"""The presets in `configs/` against the dataclasses and against the paper's section 4.1."""

import dataclasses

import pytest

from models.dualdetr import DualDETRConfig
from pipeline.compose import compose_config
from pipeline.config import TrainConfig
from pipeline.training.hyperparameters import build, criterion_config
from tests.models.dualdetr.cases import LOSS

REQUIRED = ["run=r", "store=s", "dataset.annotations=a"]


def composed(*words: str) -> TrainConfig:
    return compose_config("train", TrainConfig, [*REQUIRED, *words])


def test_the_model_preset_holds_the_defaults_and_the_loss_of_the_paper() -> None:
    config = composed("model=dualdetr")
    defaults = dataclasses.asdict(DualDETRConfig())
    assert config.model == {"name": "dualdetr"} | {
        key: value for key, value in defaults.items() if key not in ("input_dim", "num_classes")
    }
    assert criterion_config(config.loss) == LOSS


@pytest.mark.parametrize(
    ("dataset", "length", "train_step", "test_step", "epochs", "drop"),
    [
        ("multithumos", 256, 192, 64, 30, 27),
        ("charades", 1024, 1024, 1024, 30, 27),
        ("tsu", 96, 72, 24, 20, 17),
    ],
)
def test_experiments_train_as_the_paper_says(
    dataset: str, length: int, train_step: int, test_step: int, epochs: int, drop: int
) -> None:
    config = composed(f"experiment=dualdetr_{dataset}", "model.dim=32", "model.encoder_layers=1")
    windows, optimiser = config.windows, config.optimiser
    assert (windows.length, windows.train_step, windows.test_step) == (length, train_step, test_step)
    assert (optimiser.lr, optimiser.weight_decay) == (2e-4, 0.05)
    assert (optimiser.epochs, optimiser.drop_epochs, optimiser.drop_factor) == (epochs, (drop,), 0.1)
    assert criterion_config(config.loss) == LOSS
    assert type(build(config.model, 8, 3, bf16=False).detector.config) is DualDETRConfig
