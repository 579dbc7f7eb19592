"""Hyper-parameters from YAML: complete, checked, and refused in one line where wrong."""

import dataclasses
from typing import Any

import pytest

from models.criterion import CriterionConfig
from models.deformable_detr import DeformableDETRConfig
from pipeline.compose import compose_config, group_options
from pipeline.detector.build import build, criterion_config, read_dataclass
from pipeline.errors import InputError
from pipeline.training.settings import TrainConfig

REQUIRED = ["run=r", "store=s", "dataset.annotations=a"]


def composed(*words: str) -> TrainConfig:
    return compose_config("train", TrainConfig, [*REQUIRED, *words])


def test_the_preset_is_the_papers_and_complete() -> None:
    config = composed()
    defaults = dataclasses.asdict(DeformableDETRConfig())
    assert config.model == {"name": "deformable_detr"} | {
        key: value for key, value in defaults.items() if key not in ("input_dim", "num_classes")
    }
    assert criterion_config(config.loss) == DeformableDETRLossConfig()
    # All that the detector uses: it has no salient head.
    assert set(config.loss) == {field.name for field in dataclasses.fields(CriterionConfig)} - {"salient"}


@pytest.mark.parametrize("preset", group_options("model"))
def test_every_preset_builds_a_detector(preset: str) -> None:
    config = composed(f"model={preset}", "model.dim=16", "model.num_heads=2")
    detector = build(config.model, input_dim=6, num_classes=3, bf16=False)
    assert detector.detector.config.input_dim == 6
    assert detector.detector.config.num_classes == 3
    criterion_config(config.loss)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "detr"}, "model.name=detr: no such detector; choose from deformable_detr"),
        ({"dimm": 3}, "model.dimm: unknown key; did you mean model.dim?"),
        ({"num_classes": 3}, "model.num_classes=3: the features and annotations decide this"),
        ({"dim": "wide"}, "model.dim=wide: must be a valid integer"),
        ({"dropout": 2}, r"model: dropout=2.0 must lie in \[0, 1\)"),
    ],
)
def test_wrong_hyperparameters_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build({"name": "deformable_detr"} | change, input_dim=4, num_classes=2, bf16=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"los": {}}, "loss.los: unknown key; did you mean loss.loss?"),
        (
            {"match": {"classification": 1, "l1": 1, "iou": 1}},
            "loss.match.iou: unknown key; did you mean loss.match.tiou",
        ),
        ({"match": {"classification": 1, "l1": 1}}, "loss.match.tiou: Field required"),
        ({"l1_form": "corners"}, "loss.l1_form=corners: must be"),
    ],
)
def test_wrong_loss_weights_are_named(loss: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        criterion_config(loss)


def test_every_mistake_gets_its_line() -> None:
    with pytest.raises(InputError) as caught:
        read_dataclass(DeformableDETRConfig, {"dim": "a", "num_heads": "b"}, "model")
    assert len(str(caught.value).splitlines()) == 2
