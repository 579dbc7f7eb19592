import pytest
import torch

from models.deformable_detr import DeformableDETRConfig
from models.detection import decode
from models.detectors import DETECTORS, DetectorConfig, build_criterion, build_detector
from models.dualdetr import DualDETRConfig
from models.gap import GAPConfig
from models.parameter_roles import parameter_roles
from models.segments import pairwise_tiou
from models.tadtr import TadTRConfig
from models.tp2detr import TP2DETRConfig
from tests.models.one_batch import learn, make_batch

CHANGES = {"dim": 64, "num_queries": 12, "dropout": 0.0}


@pytest.mark.parametrize(
    "config",
    [
        DeformableDETRConfig.tiny(**CHANGES),
        DualDETRConfig.tiny(**CHANGES, decoder_dropout=0.0),
        TP2DETRConfig.tiny(**CHANGES, num_levels=2),
        TadTRConfig.tiny(**CHANGES),
        GAPConfig.tiny(**CHANGES),
    ],
    ids=lambda config: config.name,
)
def test_a_detector_learns_one_batch_by_heart(config: DetectorConfig) -> None:
    """Padded samples, one without an action: the loss falls to near nothing and the actions come back."""
    torch.manual_seed(0)
    model = build_detector(config, 16, 3)
    criterion = build_criterion(DETECTORS[config.name].loss())
    batch = make_batch()
    roles = parameter_roles(model)
    optimizer = torch.optim.AdamW(
        [{"params": roles["default"] + roles["pyramid"]}, {"params": roles["slow"], "lr": 2e-4}], lr=2e-3
    )
    learnt = learn(model, criterion, batch, optimizer, [2e-3, 2e-4], steps=250)
    assert learnt.last < 0.1 < 1.0 < learnt.first

    for found, target in zip(decode(learnt.output, top_k=100), batch.targets, strict=True):
        sure = found.scores > 0.4
        assert sure.sum() == len(target.labels)
        if len(target.labels):
            tiou, best = pairwise_tiou(target.segments, found.segments[sure]).max(dim=1)
            assert tiou.mean() > 0.9
            assert found.labels[sure][best].tolist() == target.labels.tolist()
