"""The detectors: name -> its config, the config of its loss, and what they describe.

Configs import no torch, so that settings are checked and `--help` is printed at once; the networks are imported when
one is built.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.actionformer.config import ActionFormerConfig, ActionFormerLossConfig
from models.deformable_detr.config import DeformableDETRConfig, DeformableDETRLossConfig
from models.dualdetr.config import DualDETRConfig, DualDETRLossConfig
from models.gap.config import GAPConfig, GAPLossConfig
from models.tadtr.config import TadTRConfig, TadTRLossConfig
from models.tp2detr.config import TP2DETRConfig, TP2DETRLossConfig
from models.tridet.config import TriDetConfig, TriDetLossConfig

if TYPE_CHECKING:
    from torch import nn

    from models.criterion import Criterion

DetectorConfig = (
    ActionFormerConfig
    | DeformableDETRConfig
    | DualDETRConfig
    | GAPConfig
    | TadTRConfig
    | TP2DETRConfig
    | TriDetConfig
)
DetectorLossConfig = (
    ActionFormerLossConfig
    | DeformableDETRLossConfig
    | DualDETRLossConfig
    | GAPLossConfig
    | TadTRLossConfig
    | TP2DETRLossConfig
    | TriDetLossConfig
)


@dataclass(frozen=True)
class DetectorKind:
    """A detector: types of its config and of its loss's, and what imports its network and its criterion."""

    config: type[DetectorConfig]
    loss: type[DetectorLossConfig]
    load: Callable[[], "tuple[Callable[..., nn.Module], Callable[..., Criterion]]"]


def _actionformer() -> "tuple[Callable[..., nn.Module], Callable[..., Criterion]]":
    from models.actionformer.model import ActionFormer
    from models.points.loss import PointCriterion

    return ActionFormer, PointCriterion


def _deformable_detr() -> "tuple[Callable[..., nn.Module], Callable[..., Criterion]]":
    from models.criterion import SetCriterion
    from models.deformable_detr.model import DeformableDETR

    return DeformableDETR, SetCriterion


def _dualdetr() -> "tuple[Callable[..., nn.Module], Callable[..., Criterion]]":
    from models.actionness.loss import ActionnessCriterion
    from models.dualdetr.model import DualDETR

    return DualDETR, ActionnessCriterion


def _gap() -> "tuple[Callable[..., nn.Module], Callable[..., Criterion]]":
    from models.gap.model import GAP
    from models.tp2detr.loss import TP2DETRCriterion

    return GAP, TP2DETRCriterion


def _tadtr() -> "tuple[Callable[..., nn.Module], Callable[..., Criterion]]":
    from models.tadtr.loss import TadTRCriterion
    from models.tadtr.model import TadTR

    return TadTR, TadTRCriterion


def _tp2detr() -> "tuple[Callable[..., nn.Module], Callable[..., Criterion]]":
    from models.tp2detr.loss import TP2DETRCriterion
    from models.tp2detr.model import TP2DETR

    return TP2DETR, TP2DETRCriterion


def _tridet() -> "tuple[Callable[..., nn.Module], Callable[..., Criterion]]":
    from models.points.loss import PointCriterion
    from models.tridet.model import TriDet

    return TriDet, PointCriterion


DETECTORS = {
    "actionformer": DetectorKind(ActionFormerConfig, ActionFormerLossConfig, _actionformer),
    "deformable_detr": DetectorKind(DeformableDETRConfig, DeformableDETRLossConfig, _deformable_detr),
    "dualdetr": DetectorKind(DualDETRConfig, DualDETRLossConfig, _dualdetr),
    "gap": DetectorKind(GAPConfig, GAPLossConfig, _gap),
    "tadtr": DetectorKind(TadTRConfig, TadTRLossConfig, _tadtr),
    "tp2detr": DetectorKind(TP2DETRConfig, TP2DETRLossConfig, _tp2detr),
    "tridet": DetectorKind(TriDetConfig, TriDetLossConfig, _tridet),
}


def build_detector(config: DetectorConfig, input_dim: int, num_classes: int) -> "nn.Module":
    """The detector that `config` describes, freshly initialised.

    Args:
        config: its hyper-parameters.
        input_dim: width of the features.
        num_classes: classes to tell apart.
    """
    detector, _ = DETECTORS[config.name].load()
    return detector(config, input_dim, num_classes)


def build_criterion(config: DetectorLossConfig) -> "Criterion":
    """What turns the output of the detector that `config` names, and the truth, into a loss."""
    _, criterion = DETECTORS[config.name].load()
    return criterion(config)
