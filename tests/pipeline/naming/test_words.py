"""The text tower that belongs to a store's features, and what is said where none does."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from pipeline.errors import InputError
from pipeline.features.backbones import feature_spec, load_backbone
from pipeline.features.recipe import Recipe, record_recipe
from pipeline.features.settings import BackboneConfig, FlowConfig, TimelineConfig
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore
from pipeline.features.timeline import Timeline
from pipeline.naming import words as words_module
from pipeline.naming.settings import NamingConfig
from pipeline.naming.words import embed, text_source

TINY = BackboneConfig(name="tiny", architecture="ViT-S-32-alt", weights="random", image_size=64)
TIMELINE = TimelineConfig()
PUBLISHED = {"architecture": "ViT-S-32-alt", "weights": "random"}


@pytest.fixture(scope="module")
def spec() -> FeatureSpec:
    return feature_spec(TINY, load_backbone(TINY), TIMELINE.build())


@pytest.fixture
def store(tmp_path: Path, spec: FeatureSpec) -> FeatureStore:
    store = FeatureStore.create(str(tmp_path / "store"), spec)
    record_recipe(store.url, Recipe(backbone=TINY, flow=FlowConfig(), timeline=TIMELINE))
    return store


def imported(folder: Path, dim: int) -> FeatureStore:
    spec = FeatureSpec("clip_vit_b16", "0" * 64, {}, dim, Timeline(None, 8, 8))
    return FeatureStore.create(str(folder / "imported"), spec)


def config(*classes: str, **changes: Any) -> NamingConfig:
    return NamingConfig(classes=classes, **changes)


def test_embeddings_are_open_clips_own_averaged_over_prompts(store: FeatureStore) -> None:
    torch.manual_seed(TINY.seed)
    model = open_clip.create_model("ViT-S-32-alt", force_image_size=64).eval()
    tokenizer = open_clip.get_tokenizer("ViT-S-32-alt")
    found = embed(
        text_source(store, config("run", "walk", templates=("a {}", "{}!"), none_of_these=("nothing",))),
        False,
    )
    assert found.names == ("run", "walk")
    with torch.inference_mode():
        for name, vector in zip(found.names, found.classes, strict=True):
            prompts = model.encode_text(tokenizer([f"a {name}", f"{name}!"]))
            mean = (prompts / prompts.norm(dim=1, keepdim=True)).mean(0)
            np.testing.assert_allclose(vector, mean / mean.norm(), atol=1e-5)
        nothing = model.encode_text(tokenizer(["nothing"]))[0]
        np.testing.assert_allclose(found.nothing[0], nothing / nothing.norm(), atol=1e-5)
    assert found.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()))
    assert found.logit_bias is None


def test_words_are_embedded_once(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As long as nothing that they depend on changes, and a damaged file is made anew."""
    calls = []
    made = words_module._embed
    monkeypatch.setattr(words_module, "_embed", lambda source: calls.append(source) or made(source))
    cache = str(tmp_path / "words.safetensors")
    first = embed(text_source(store, config("run", "walk")), False, cache)
    again = embed(text_source(store, config("run", "walk", top_k=7)), False, cache)
    assert len(calls) == 1
    assert again.names == first.names
    np.testing.assert_array_equal(again.classes, first.classes)
    assert (again.logit_scale, again.logit_bias, again.nothing.shape) == (first.logit_scale, None, (0, 256))
    embed(text_source(store, config("run", "walk", templates=("{}",))), False, cache)
    assert len(calls) == 2
    Path(cache).write_bytes(Path(cache).read_bytes()[:100])
    embed(text_source(store, config("run", "walk")), False, cache)
    assert len(calls) == 3


def test_imported_features_are_named_by_the_network_that_the_command_names(tmp_path: Path) -> None:
    store = imported(tmp_path, 256)
    with pytest.raises(InputError, match=r"was imported.*give naming\.architecture=.*naming\.weights="):
        text_source(store, config("run"))
    assert embed(text_source(store, config("run", **PUBLISHED)), False).classes.shape == (1, 256)


def test_a_network_of_another_width_is_refused(tmp_path: Path) -> None:
    source = text_source(imported(tmp_path, 512), config("run", **PUBLISHED))
    with pytest.raises(InputError, match="its words have 256 numbers, the features 512"):
        embed(source, False)


def test_words_of_another_network_than_the_features_are_refused(
    store: FeatureStore, spec: FeatureSpec
) -> None:
    other = store.spec.weights.replace(store.spec.weights[0], "f" if store.spec.weights[0] != "f" else "0")
    store.spec = FeatureSpec(spec.backbone, other, spec.preprocessing, spec.dim, spec.timeline)
    with pytest.raises(InputError, match="its image tower is not the one that made the features"):
        embed(text_source(store, config("run")), False)
    with pytest.raises(InputError, match=r"naming.architecture=RN50: the features of .* are of ViT-S-32-alt"):
        text_source(store, config("run", architecture="RN50"))


def test_features_of_a_network_without_words_are_refused(tmp_path: Path, spec: FeatureSpec) -> None:
    store = FeatureStore.create(str(tmp_path / "store"), spec)
    backbone = BackboneConfig(name="i3d_rgb", kind="i3d", architecture="inception_v1", weights="random")
    record_recipe(store.url, Recipe(backbone=backbone, flow=FlowConfig(), timeline=TIMELINE))
    with pytest.raises(InputError, match=r"of i3d_rgb \(i3d\), which knows no words"):
        text_source(store, config("run"))


def test_classes_are_judged_alone_only_against_something(store: FeatureStore) -> None:
    with pytest.raises(InputError, match=r"naming.probabilities=sigmoid: ViT-S-32-alt judges"):
        embed(text_source(store, config("run", "walk")), True)
    assert len(embed(text_source(store, config("run", none_of_these=("nothing",))), True).nothing) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"templates": ("a video",)}, "'a video' must hold {} once"),
        ({"templates": ("{} and {}",)}, "must hold {} once"),
        ({"templates": ()}, "at least 1"),
        ({"none_of_these": (" ",)}, "a prompt is empty"),
    ],
)
def test_settings_that_say_nothing_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NamingConfig(**({"classes": ("run",)} | changes))
