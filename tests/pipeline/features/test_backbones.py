"""Loading networks of each family by name, file or seed, and what the FeatureSpec says of them."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from models.backbones.i3d import I3D
from pipeline.compose import compose_config
from pipeline.errors import InputError
from pipeline.features.backbones import feature_spec, load_backbone
from pipeline.features.backbones.backbone import Backbone
from pipeline.features.extraction.settings import ExtractConfig
from pipeline.features.settings import BackboneConfig
from pipeline.features.timeline import Timeline
from tests.models.backbones.test_i3d import network, public_checkpoint

TINY = BackboneConfig(name="tiny", architecture="ViT-S-32-alt", weights="random", image_size=64, batch_size=8)
I3D_RGB = BackboneConfig(kind="i3d", architecture="inception_v1", weights="random", frames_per_snippet=16)
R2PLUS1D = BackboneConfig(kind="torchvision", architecture="r2plus1d_18", weights="random")


@pytest.fixture(scope="module")
def tiny() -> Backbone:
    return load_backbone(TINY)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)


def changed(config: BackboneConfig, **values: object) -> BackboneConfig:
    return BackboneConfig.model_validate(config.model_dump() | values)


def test_clip_is_open_clips_own_network_and_normalisation(tiny: Backbone, pictures: np.ndarray) -> None:
    torch.manual_seed(TINY.seed)
    model = open_clip.create_model("ViT-S-32-alt", force_image_size=64).eval()
    config = open_clip.get_model_preprocess_cfg(model)
    mean, std = config["mean"], config["std"]
    scaled = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    normalised = (scaled - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    with torch.inference_mode():
        expected = model.encode_image(normalised)
        torch.testing.assert_close(tiny.encoder(torch.from_numpy(pictures)), expected, rtol=1e-4, atol=1e-5)
    assert (tiny.dim, tiny.sees_clips) == (expected.shape[1], False)


def test_clips_preprocessing_is_the_models_own(monkeypatch: pytest.MonkeyPatch, tiny: Backbone) -> None:
    size = tiny.inputs.size
    assert (size.interpolation, size.squash, size.resized(640, 360)) == ("bicubic", False, (113, 64))
    own = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "size": 64, "interpolation": "bilinear"}
    # What the pretrained tags of SigLIP and others carry, which cannot be downloaded here.
    monkeypatch.setattr(open_clip, "get_model_preprocess_cfg", lambda model: own | {"resize_mode": "squash"})
    squashed = load_backbone(TINY)
    assert squashed.normalisation == {"mean": [0.5] * 3, "std": [0.5] * 3}
    assert (squashed.inputs.size.interpolation, squashed.inputs.size.squash) == ("bilinear", True)
    monkeypatch.setattr(open_clip, "get_model_preprocess_cfg", lambda model: own | {"resize_mode": "longest"})
    with pytest.raises(InputError, match="pads its pictures"):
        load_backbone(TINY)


def test_random_weights_follow_the_seed_and_leave_the_generator_alone(tiny: Backbone) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    for config in (TINY, I3D_RGB, R2PLUS1D):
        torch.manual_seed(7)
        first = load_backbone(config).weights
        assert torch.equal(torch.rand(3), expected)
        assert load_backbone(config).weights == first
        assert load_backbone(changed(config, seed=1)).weights != first


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_weight_file_of_open_clip_loads_whatever_its_name(
    tiny: Backbone, tmp_path: Path, suffix: str
) -> None:
    torch.manual_seed(3)
    model = open_clip.create_model("ViT-S-32-alt", force_image_size=64)
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pt":
        torch.save(model.state_dict(), path)
    else:
        save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, path)
    loaded = load_backbone(changed(TINY, weights=str(path)))
    assert loaded.weights != tiny.weights
    assert torch.equal(loaded.encoder.network.state_dict()["proj"], model.visual.state_dict()["proj"])


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_i3d_loads_the_public_layout_with_any_number_of_classes(tmp_path: Path, suffix: str) -> None:
    files = {}
    for stream, channels, classes in (("rgb", 3, 157), ("flow", 2, 400)):
        files[stream] = str(tmp_path / f"{stream}.{suffix}")
        state = public_checkpoint(channels, classes)
        torch.save(state, files[stream]) if suffix == "pt" else save_file(state, files[stream])
    both = load_backbone(
        changed(I3D_RGB, streams="two_stream", weights=files["rgb"], flow_weights=files["flow"])
    )
    assert (both.dim, both.sees_clips, both.inputs.rgb, both.inputs.flow) == (2048, True, True, True)
    assert (both.inputs.size.crop, both.inputs.decoded.crop, both.inputs.decoded.short_side) == (
        224,
        256,
        256,
    )
    flow = load_backbone(changed(I3D_RGB, streams="flow", weights=files["flow"]))
    assert (flow.dim, flow.inputs.rgb, flow.inputs.flow) == (1024, False, True)
    clip = torch.randint(0, 256, (1, 5, 32, 32, 2), dtype=torch.uint8)
    with torch.inference_mode():
        expected = network(public_checkpoint(2))((2 * clip.float() / 255 - 1).permute(0, 4, 1, 2, 3))
        torch.testing.assert_close(flow.encoder(clip), expected, rtol=1e-4, atol=1e-5)


def test_a_wrong_weight_file_says_which_keys_differ(tmp_path: Path) -> None:
    def refused(state: object, config: BackboneConfig = I3D_RGB) -> str:
        path = tmp_path / "w.pt"
        torch.save(state, path)
        with pytest.raises(InputError) as caught:
            load_backbone(changed(config, weights=str(path)))
        assert "\n" not in str(caught.value)
        return str(caught.value).partition("w.pt: ")[2]

    good = public_checkpoint(3)
    without = {name: value for name, value in good.items() if not name.startswith("Mixed_5c.b0")}
    assert refused(without | {"fc.bias": torch.zeros(2)}) == (
        "does not fit I3D's rgb network: of 287 keys, 5 missing: Mixed_5c.b0.conv3d.weight, "
        "Mixed_5c.b0.bn.weight, Mixed_5c.b0.bn.bias, ...; 1 unexpected: fc.bias"
    )
    assert refused(public_checkpoint(2)) == (
        "does not fit I3D's rgb network: of 287 keys, 1 of another shape: "
        "Conv3d_1a_7x7.conv3d.weight (64x2x7x7x7, not 64x3x7x7x7)"
    )
    assert refused({"state_dict": good}) == "is no state dict (a flat mapping from names to tensors)"
    assert refused(good, R2PLUS1D).startswith("does not fit r2plus1d_18: of ")
    assert refused({"some.weight": torch.zeros(2)}, TINY).startswith("cannot be loaded into ViT-S-32-alt")
    (tmp_path / "text.pt").write_text("not a checkpoint")
    with pytest.raises(InputError, match=r"backbone\.weights=.*text\.pt: cannot be read as a checkpoint"):
        load_backbone(changed(I3D_RGB, weights=str(tmp_path / "text.pt")))


def test_what_cannot_be_loaded_is_named() -> None:
    for config, message in (
        (changed(TINY, architecture="ViT-Z"), r"architecture=ViT-Z: open_clip has no such model"),
        (changed(TINY, weights="openia"), r"weights=openia: neither a file nor a tag of ViT-S-32-alt"),
        (changed(I3D_RGB, weights="none.pt"), r"weights=none\.pt: no such file; give the path or URL"),
        (changed(R2PLUS1D, weights="KINETICS"), r"weights=KINETICS: no such file"),
        (
            changed(R2PLUS1D, architecture="r5"),
            r"architecture=r5: torchvision has no such classifier; .*swin3d_t",
        ),
    ):
        with pytest.raises(InputError, match=rf"backbone\.{message}"):
            load_backbone(config)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["backbone.streams=flow"], r"streams \(flow\) is for kind=i3d; a clip network sees rgb"),
        (["backbone=i3d_rgb", "backbone.architecture=x"], r"architecture \(x\) must be inception_v1"),
        (["backbone=i3d_rgb", "backbone.streams=two_stream"], "flow_weights names the second network"),
        (["backbone.flow_weights=f.pt"], "flow_weights names the second network"),
        (["flow.min_actors=2"], r"max_actors \(1\) must be at least min_actors \(2\)"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compose_config("extract", ExtractConfig, ["videos=/v", "store=/s", *words])


@pytest.mark.parametrize(
    ("architecture", "dim", "clip"),
    [
        ("r2plus1d_18", 512, (4, 32)),
        ("swin3d_t", 768, (4, 32)),
        ("resnet18", 512, None),
    ],
)
def test_torchvisions_networks_lose_their_classifier(
    architecture: str, dim: int, clip: tuple[int, int] | None
) -> None:
    backbone = load_backbone(changed(R2PLUS1D, architecture=architecture))
    assert (backbone.dim, backbone.sees_clips) == (dim, clip is not None)
    shape = (1, *((clip[0],) if clip else ()), 32, 32, 3)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    torch.manual_seed(0)
    whole = models.get_model(architecture, weights=None).eval()
    head = [m for m in whole.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv3d)][-1]
    seen: list[torch.Tensor] = []
    head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    preset = models.get_model_weights(architecture).DEFAULT.transforms()
    mean, std = torch.tensor(preset.mean), torch.tensor(preset.std)
    with torch.inference_mode():
        whole(((pixels / 255 - mean) / std).movedim(-1, 1))
        embedding = backbone.encoder(pixels)
    torch.testing.assert_close(embedding, seen[0].flatten(1), rtol=1e-3, atol=1e-4)


def test_the_spec_names_what_the_features_depend_on(tiny: Backbone) -> None:
    timeline = Timeline(8, 2, 2)
    spec = feature_spec(TINY, tiny, timeline)
    assert (spec.dim, spec.timeline, spec.weights) == (tiny.dim, timeline, tiny.weights)
    for change in ({"frames_per_snippet": 2}, {"precision": "bf16"}, {"image_size": 96}, {"resize": "exact"}):
        config = changed(TINY, **change)
        assert feature_spec(config, load_backbone(config), timeline).digest != spec.digest
    assert feature_spec(TINY, tiny, timeline, {"rounding": True}).digest != spec.digest


def test_i3d_with_random_weights_says_something() -> None:
    with torch.inference_mode():
        torch.manual_seed(0)
        features = I3D().eval()(torch.rand(1, 3, 8, 32, 32))
    assert features.std() > 1e-3
