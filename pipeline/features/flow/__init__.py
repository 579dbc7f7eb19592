"""Optical flow between consecutive frames, a stage of its own between decoding and the backbone.

Flow is computed on the square in the middle of the resized picture (256 pixels for I3D) and then cropped like the
pictures (to 224): what enters the crop from its border is seen. The field of frame `k` leads to frame `k + 1` of
the resampled video; after the last frame of the video comes itself, so that its field is that of a still picture.
"""

from typing import Any

from pipeline.features.backbones.backbone import Inputs
from pipeline.features.flow.raft import check_side, load_raft
from pipeline.features.flow.scaling import BOUND
from pipeline.features.flow.tvl1 import opencv
from pipeline.features.settings import FlowConfig
from pipeline.features.weights import parameter_digest


def flow_description(config: FlowConfig, inputs: Inputs) -> dict[str, Any]:
    """What the numbers of flow depend on, for the FeatureSpec.

    Raises InputError where the algorithm is not installed, its weights cannot be loaded, or it cannot take the
    pictures.
    """
    described: dict[str, Any] = {
        "algorithm": config.algorithm,
        "side": inputs.decoded.crop,
        "bound": BOUND,
        "rounding": config.rounding,
    }
    if config.algorithm == "tvl1":
        return described | {"opencv": opencv().__version__}
    check_side(inputs.decoded.crop)
    return described | {"updates": config.updates, "weights": parameter_digest(load_raft(config))}
