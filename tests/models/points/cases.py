"""Point detectors small enough for tests, and their losses."""

from models.actionformer import ActionFormerConfig, ActionFormerLossConfig
from models.detectors import DetectorConfig, DetectorLossConfig
from models.tridet import TriDetConfig, TriDetLossConfig

POINT_DETECTORS: dict[str, tuple[DetectorConfig, DetectorLossConfig]] = {
    "actionformer": (ActionFormerConfig.tiny(), ActionFormerLossConfig()),
    "actionformer per class": (
        ActionFormerConfig.tiny(regression_per_class=True),
        ActionFormerLossConfig(regression_per_class=True),
    ),
    "temporalmaxer": (
        ActionFormerConfig(dim=32, embedding_layers=1, stem_blocks=0, head_layers=1, pyramid="max_pool"),
        ActionFormerLossConfig(),
    ),
    "tridet": (TriDetConfig.tiny(), TriDetLossConfig()),
    "tridet per class": (
        TriDetConfig.tiny(regression_per_class=True),
        TriDetLossConfig(regression_per_class=True),
    ),
}
