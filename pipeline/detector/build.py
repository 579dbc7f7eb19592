"""A detector as training and prediction use it, from its hyper-parameters."""

from models.detectors import DetectorConfig, build_detector
from pipeline.detector.normalisation import NormalisedDetector


def build(config: DetectorConfig, input_dim: int, num_classes: int, bf16: bool) -> NormalisedDetector:
    """The freshly initialised detector that `config` describes, with normalisation that changes nothing.

    Args:
        config: its hyper-parameters.
        input_dim: width of the features.
        num_classes: classes to tell apart.
        bf16: run the detector in bfloat16 autocast.
    """
    return NormalisedDetector(build_detector(config, input_dim, num_classes), input_dim, bf16)
