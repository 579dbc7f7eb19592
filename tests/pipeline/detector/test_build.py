"""Hyper-parameters from YAML: complete, checked, and refused in one line where wrong."""

import pytest
import torch

from models.deformable_detr import DeformableDETRConfig, DeformableDETRLossConfig
from models.detectors import DETECTORS
from pipeline.compose import compose_config, group_options
from pipeline.detector.build import build
from pipeline.errors import InputError
from pipeline.training.settings import TrainConfig

REQUIRED = ["run=r", "store=s", "dataset.annotations=a"]


def composed(*words: str) -> TrainConfig:
    return compose_config("train", TrainConfig, [*REQUIRED, *words])


def test_the_preset_is_the_papers_and_complete() -> None:
    config = composed()
    assert config.model == DeformableDETRConfig()
    assert config.loss == DeformableDETRLossConfig()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_the_preset_of_a_detectors_name_is_its_defaults(name: str) -> None:
    config = composed(f"model={name}")
    assert config.model == DETECTORS[name].config()
    assert config.loss == DETECTORS[name].loss()


@pytest.mark.parametrize("preset", group_options("model"))
def test_every_preset_builds_a_detector(preset: str) -> None:
    heads = ["model.num_heads=4"] if "tridet" not in preset else []
    config = composed(f"model={preset}", "model.dim=16", *heads)
    detector = build(config.model, input_dim=6, num_classes=3, bf16=False).eval()
    assert type(detector.detector) is DETECTORS[config.model.name].load()[0]
    assert detector.detector.config == config.model
    assert config.loss.name == config.model.name
    with torch.no_grad():
        final = detector(torch.zeros(1, 5, 6), torch.zeros(1, 5, dtype=torch.bool)).final
    # Of a point detector, as many as its levels over five tokens have.
    tokens = [5, 3, 2, 1, 1, 1][: getattr(config.model, "num_levels", 0)]
    count = config.model.num_queries if hasattr(config.model, "num_queries") else sum(tokens)
    assert final.logits.shape == (1, count, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["model.name=detr"],
            "^model.name=detr: must be one of 'actionformer', 'deformable_detr', 'dualdetr', 'gap', 'tadtr', "
            "'tp2detr', 'tridet'$",
        ),
        (["model.dimm=3"], "^model.dimm: unknown key; did you mean model.dim[?]$"),
        (["model.numqueries=3"], "^model.numqueries: unknown key; did you mean model.num_queries[?]$"),
        (["model.num_classes=3"], "^model.num_classes: unknown key; "),  # annotations decide this
        (["model.dim=wide"], "^model.dim=wide: must be a valid integer"),
        (["model.dropout=2"], r"^model.dropout=2.0 must lie in \[0, 1\)$"),
        (["model.stem=auto"], "^model.stem: unknown key here; only model.name=tp2detr has it$"),
        (
            ["model.salience_on=none"],
            "^model.salience_on: unknown key here; only model.name=gap and model.name=tp2detr have it$",
        ),
        (["model=tp2detr", "model.stem=none"], "^model.stem=none: must be 'auto', 'paper' or 'released'$"),
    ],
)
def test_wrong_hyperparameters_are_named(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        composed(*words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["loss.los=1"], "^loss.los: unknown key; did you mean loss.loss.l1[?]$"),
        (["+loss.los={l1: 1}"], "^loss.los: unknown key; did you mean loss.loss.l1[?]$"),
        (["loss.los.l1=1"], "^loss.los.l1: unknown key; did you mean loss.loss.l1[?]$"),
        (["loss.match.iou=1"], "^loss.match.iou: unknown key; did you mean loss.match.tiou[?]$"),
        (["+loss.match.iou=1"], "^loss.match.iou: unknown key; did you mean loss.match.tiou[?]$"),
        (["loss.match.tiou=???"], r"^loss.match.tiou: is required \(weight of the tIoU of the segments\)$"),
        (["loss.match.l1=-1"], "^loss.match.l1=-1.0 must not be negative$"),
        (["loss.l1_form=corners"], "^loss.l1_form=corners: must be 'start_end' or 'centre_width'$"),
        (
            ["loss.salience.weight=1"],
            "^loss.salience.weight: unknown key here; only loss.name=gap and loss.name=tp2detr have it$",
        ),
        (
            ["model=tp2detr", "loss.salience.weigth=1"],
            "^loss.salience.weigth: unknown key; did you mean loss.salience.weight[?]$",
        ),
        (["model=tp2detr", "loss.salience.weight=-1"], "^loss.salience.weight=-1.0 must not be negative$"),
    ],
)
def test_wrong_loss_weights_are_named(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        composed(*words)
    assert "\n" not in str(caught.value)


def test_the_loss_must_be_that_of_the_detector() -> None:
    with pytest.raises(InputError, match=r"loss.name \(tp2detr\) must be model.name \(deformable_detr\)"):
        composed("loss.name=tp2detr")


def test_every_mistake_gets_its_line() -> None:
    with pytest.raises(InputError) as caught:
        composed("model.num_queries=wrong", "loss.l1_form=corners", "optimiser.lr=-1")
    lines = sorted(line.split(":")[0] for line in str(caught.value).splitlines())
    assert lines == ["loss.l1_form=corners", "model.num_queries=wrong", "optimiser.lr=-1"]
