"""Loading networks by name, file or seed, and embeddings that do not depend on their batch."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from pipeline.config import BackboneConfig
from pipeline.errors import InputError
from pipeline.features.backbones import Backbone, BatchedEncoder, feature_spec, load_backbone
from pipeline.features.timeline import Timeline

TINY = BackboneConfig(name="tiny", architecture="ViT-S-32-alt", weights="random", image_size=64, batch_size=8)


@pytest.fixture(scope="module")
def tiny() -> Backbone:
    return load_backbone(TINY)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (21, 64, 64, 3), dtype=np.uint8)


def test_an_embedding_does_not_depend_on_the_frames_around_it(tiny: Backbone, pictures: np.ndarray) -> None:
    encode = BatchedEncoder(tiny.encoder, 8, torch.device("cpu"), bf16=False)
    (together,) = encode([pictures])
    cut = np.concatenate(encode([pictures[:3], pictures[3:4], pictures[4:20], pictures[20:]]))
    alone = np.concatenate([encode([picture[None]])[0] for picture in pictures])
    assert together.shape == (21, tiny.dim)
    assert (together == cut).all()
    assert (together == alone).all()
    assert encode([]) == []


def test_the_encoder_is_open_clips_own_network_and_normalisation(
    tiny: Backbone, pictures: np.ndarray
) -> None:
    torch.manual_seed(TINY.seed)
    model = open_clip.create_model("ViT-S-32-alt", force_image_size=64).eval()
    mean, std = (
        open_clip.get_model_preprocess_cfg(model)["mean"],
        open_clip.get_model_preprocess_cfg(model)["std"],
    )
    scaled = torch.from_numpy(pictures[:2]).permute(0, 3, 1, 2).float() / 255
    normalised = (scaled - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    with torch.inference_mode():
        expected = model.encode_image(normalised)
        torch.testing.assert_close(
            tiny.encoder(torch.from_numpy(pictures[:2])), expected, rtol=1e-4, atol=1e-5
        )


def test_random_weights_follow_the_seed_and_leave_the_generator_alone(tiny: Backbone) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    assert load_backbone(TINY).weights == tiny.weights
    assert torch.equal(torch.rand(3), expected)
    assert load_backbone(TINY.model_copy(update={"seed": 1})).weights != tiny.weights


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_weight_file_loads_whatever_its_name(tiny: Backbone, tmp_path: Path, suffix: str) -> None:
    torch.manual_seed(3)
    model = open_clip.create_model("ViT-S-32-alt", force_image_size=64)
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pt":
        torch.save(model.state_dict(), path)
    else:
        save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, path)
    loaded = load_backbone(TINY.model_copy(update={"weights": str(path)}))
    assert loaded.weights != tiny.weights
    assert torch.equal(loaded.encoder.network.state_dict()["proj"], model.visual.state_dict()["proj"])


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"backbone\.architecture=ViT-Z: open_clip has no such model"):
        load_backbone(TINY.model_copy(update={"architecture": "ViT-Z"}))
    with pytest.raises(
        InputError, match=r"backbone\.weights=openia: neither a file nor a tag of ViT-B-16 \(openai"
    ):
        load_backbone(BackboneConfig(architecture="ViT-B-16", weights="openia"))
    wrong = tmp_path / "wrong.pt"
    torch.save({"some.weight": torch.zeros(2)}, wrong)
    with pytest.raises(
        InputError, match=r"backbone\.weights=.*wrong\.pt: cannot be loaded into ViT-S-32-alt"
    ):
        load_backbone(TINY.model_copy(update={"weights": str(wrong)}))


def test_the_spec_names_what_the_features_depend_on(tiny: Backbone) -> None:
    timeline = Timeline(8, 2, 2)
    spec = feature_spec(TINY, tiny, timeline)
    assert (spec.dim, spec.timeline, spec.weights) == (tiny.dim, timeline, tiny.weights)
    for change in ({"frames_per_snippet": 2}, {"precision": "bf16"}, {"image_size": 96}):
        config = TINY.model_copy(update=change)
        assert feature_spec(config, load_backbone(config), timeline).digest != spec.digest
