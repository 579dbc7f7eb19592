"""I3D on pictures, on optical flow, or on both in one pass."""

from models.backbones.i3d import I3D
from models.backbones.two_stream import TwoStreamI3D
from pipeline.features.backbones.backbone import Backbone, Inputs
from pipeline.features.pictures import PictureSize
from pipeline.features.settings import BackboneConfig
from pipeline.features.weights import (
    RANDOM_WEIGHTS,
    load_into,
    parameter_digest,
    read_checkpoint,
    seeded,
)

_CROP, _SHORT_SIDE = 224, 256  # Kinetics-I3D: the short side to 256 pixels, of which the middle 224 are seen
_CHANNELS = {"rgb": 3, "flow": 2}
_CLASSES = 400


def load(config: BackboneConfig) -> Backbone:
    """The I3D of `config.streams` with its weights; raises InputError where a file does not fit."""
    crop = config.image_size or _CROP
    size = PictureSize(
        short_side=crop * _SHORT_SIDE // _CROP,
        crop=crop,
        interpolation="bilinear",
        exact=config.resize == "exact",
    )
    rgb = flow = None
    if config.streams != "flow":
        rgb = _load_stream("rgb", "weights", config.weights, config.seed)
    if config.streams == "flow":
        flow = _load_stream("flow", "weights", config.weights, config.seed)
    elif config.streams == "two_stream":
        assert config.flow_weights is not None  # the configuration holds it
        flow = _load_stream("flow", "flow_weights", config.flow_weights, config.seed + 1)
    encoder = TwoStreamI3D(rgb, flow).eval().requires_grad_(False)
    return Backbone(
        encoder=encoder,
        inputs=Inputs(size, rgb=rgb is not None, flow=flow is not None),
        sees_clips=True,
        dim=encoder.dim,
        weights=parameter_digest(encoder.streams),
        normalisation={"mean": [0.5], "std": [0.5]},
    )


def _load_stream(stream: str, key: str, weights: str, seed: int) -> I3D:
    channels = _CHANNELS[stream]
    if weights == RANDOM_WEIGHTS:
        with seeded(seed):
            return I3D(channels, _CLASSES)
    state = read_checkpoint(weights, f"backbone.{key}")
    classifier = state.get("logits.conv3d.weight")
    with seeded(seed):
        network = I3D(channels, _CLASSES if classifier is None else len(classifier))
    load_into(network, state, f"backbone.{key}={weights}: does not fit I3D's {stream} network")
    return network
