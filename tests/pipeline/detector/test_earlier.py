"""Checkpoints of earlier versions predict and train on, whatever their training's settings were called."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.detectors import DETECTORS
from models.tp2detr import TP2DETRConfig
from pipeline.compose import compose_config
from pipeline.detector.build import build
from pipeline.detector.checkpoint import Progress, copy_tensors, load_optimiser, read_info, write_checkpoint
from pipeline.detector.earlier import settings_in_todays_names
from pipeline.detector.trained import load_trained, settings_of
from pipeline.errors import InputError
from pipeline.training.optimisation import build_optimiser
from pipeline.training.settings import OptimiserConfig, TrainConfig
from tests.pipeline.synthetic import LABELS, SPEC

SIZES = {"dim": 16, "num_heads": 2, "ffn_dim": 16, "num_levels": 2, "pyramid": "direct", "num_queries": 6}
OLD_KEYS = {
    "salience_on": "salient_on",
    "salience_head": "salient_head",
    "salience_upsampling": "salient_upsampling",
    "share_salience_head": "share_salient_head",
}


def save(folder: Path) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """A TP²-DETR checkpoint after a step of its optimiser."""
    torch.manual_seed(0)
    words = [f"model.{key}={value}" for key, value in SIZES.items()]
    config = compose_config(
        "train", TrainConfig, ["model=tp2detr", "run=/r", "store=/s", "dataset.annotations=/a", *words]
    )
    model = build(config.model, SPEC.dim, len(LABELS), bf16=False)
    optimiser = build_optimiser(model, OptimiserConfig())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    write_checkpoint(
        str(folder), progress=Progress(1, 1, ()), labels=LABELS, feature_spec=SPEC,
        config=config.model_dump(mode="json"), tensors=copy_tensors(model, optimiser),
    )  # fmt: skip
    return model, optimiser


def make_old(folder: Path) -> None:
    """The checkpoint as version 0.1.0 wrote it."""
    description = json.loads((folder / "checkpoint.json").read_text())
    del description["recipe"]
    config = description["config"]
    config["model"] = {OLD_KEYS.get(key, key): value for key, value in config["model"].items()}
    config["loss"] = {
        ("salient" if k == "salience" else k): v for k, v in config["loss"].items() if k != "name"
    }
    config["optimiser"]["was_a_key_once"] = 1
    config["so_was_this"] = True
    del config["seed"]
    for name in ("model", "optimiser"):
        path = folder / f"{name}.safetensors"
        tensors = load_file(path)
        assert any(key.startswith("detector.salience_heads.") for key in tensors)
        save_file({k.replace("salience_heads", "salient"): v for k, v in tensors.items()}, path)
        description["files"][path.name] = {
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    (folder / "checkpoint.json").write_text(json.dumps(description))


def test_an_old_checkpoint_has_all_that_the_new_one_has(tmp_path: Path) -> None:
    model, optimiser = save(tmp_path)
    settings = settings_of(read_info(str(tmp_path)))
    make_old(tmp_path)
    trained = load_trained(str(tmp_path), torch.device("cpu"))
    assert trained.config == settings
    assert isinstance(trained.config.model, TP2DETRConfig)
    for name, tensor in model.state_dict().items():
        assert torch.equal(trained.detector.state_dict()[name], tensor), name
    fresh = build_optimiser(trained.detector, OptimiserConfig())
    load_optimiser(trained.info, trained.detector, fresh)
    names = {parameter: name for name, parameter in model.named_parameters()}
    held = {name: fresh.state[parameter] for name, parameter in trained.detector.named_parameters()}
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            assert torch.equal(held[names[parameter]][key], value), (names[parameter], key)


def test_what_had_no_key_yet_is_as_it_was() -> None:
    """Branches had as many heads each as the encoder; the key came with another default."""
    before = {"name": "dualdetr", "dim": 64}
    assert settings_in_todays_names({"model": before})["model"] == before | {"branch_heads": "all"}
    told = before | {"branch_heads": "share"}
    assert settings_in_todays_names({"model": told})["model"] == told
    assert settings_in_todays_names({"model": {"name": "tp2detr"}})["model"] == {"name": "tp2detr"}


def test_a_key_that_is_gone_is_dropped_where_it_did_nothing_and_told_where_it_did() -> None:
    kept = {"name": "dualdetr", "branch_heads": "share"}
    assert settings_in_todays_names({"model": kept | {"refine_classes": False}})["model"] == kept
    had = kept | {"refine_classes": True}
    assert settings_in_todays_names({"model": had})["model"] == had


def test_settings_that_this_version_cannot_know_are_told_in_a_line(tmp_path: Path) -> None:
    save(tmp_path)
    description = json.loads((tmp_path / "checkpoint.json").read_text())
    description["config"]["model"]["name"] = "from_the_future"
    (tmp_path / "checkpoint.json").write_text(json.dumps(description))
    with pytest.raises(
        InputError, match=r"was trained by another version of raytad \(its setting model"
    ) as caught:
        settings_of(read_info(str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_every_detector_is_in_the_table_under_its_own_name() -> None:
    kinds: dict[str, Any] = {name: (kind.config().name, kind.loss().name) for name, kind in DETECTORS.items()}
    assert kinds == {name: (name, name) for name in DETECTORS}
