import pytest
import torch

from models.deformable_detr import DeformableDETRConfig
from models.detection import Target, decode
from models.detectors import DETECTORS, DetectorConfig, build_criterion, build_detector
from models.dualdetr import DualDETRConfig
from models.gap import GAPConfig
from models.parameter_roles import parameter_roles
from models.segments import pairwise_tiou
from models.tadtr import TadTRConfig
from models.tp2detr import TP2DETRConfig

LENGTHS = (32, 27, 20, 32)
ACTIONS = (
    ((0.05, 0.25, 0), (0.40, 0.50, 1), (0.60, 0.95, 2)),
    ((0.10, 0.30, 1), (0.20, 0.60, 2), (0.80, 1.00, 0)),  # two at once
    ((0.30, 0.90, 2),),
    (),
)
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
    mask = torch.arange(32) >= torch.tensor(LENGTHS)[:, None]
    features, signature = 0.3 * torch.randn(4, 32, 16), torch.randn(3, 16)
    targets = []
    for sample, (length, actions) in enumerate(zip(LENGTHS, ACTIONS, strict=True)):
        for start, end, label in actions:
            features[sample, round(start * length) : round(end * length)] += signature[label]
        rows = torch.tensor(actions).view(-1, 3)
        targets.append(Target(rows[:, :2], rows[:, 2].long()))

    roles = parameter_roles(model)
    optimizer = torch.optim.AdamW(
        [{"params": roles["default"] + roles["pyramid"]}, {"params": roles["slow"], "lr": 2e-4}], lr=2e-3
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, [2e-3, 2e-4], total_steps=250)
    for step in range(250):
        loss = criterion(model(features, mask), targets)["total"]
        if step == 0:
            first = loss.item()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        output = model(features, mask)
        last = criterion(output, targets)["total"].item()
    assert last < 0.1 < 1.0 < first

    for found, target in zip(decode(output, top_k=100), targets, strict=True):
        sure = found.scores > 0.4
        assert sure.sum() == len(target.labels)
        if len(target.labels):
            tiou, best = pairwise_tiou(target.segments, found.segments[sure]).max(dim=1)
            assert tiou.mean() > 0.9
            assert found.labels[sure][best].tolist() == target.labels.tolist()
