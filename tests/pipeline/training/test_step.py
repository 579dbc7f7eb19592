"""One step: a batch divided among workers gives the gradient of the whole, and no step leads nowhere."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from models.actionformer import ActionFormerConfig
from models.detection import Target
from models.detectors import DETECTORS, DetectorConfig, build_criterion
from models.gap import GAPConfig
from models.tadtr import TadTRConfig
from models.tp2detr import TP2DETRConfig
from models.tridet import TriDetConfig
from pipeline.detector.build import build
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.training.optimisation import build_optimiser
from pipeline.training.settings import OptimiserConfig
from pipeline.training.step import NO_WISHES, DivergedError, Share, TrainStep, Wishes
from pipeline.training.workers import Workers
from tests.pipeline.synthetic import TINY_DETECTOR, TINY_MODEL

CPU = torch.device("cpu")


class Pretended(Workers):
    """One of several workers, told by the test what the sum over all of them is."""

    def __init__(self, size: int, total: Tensor) -> None:
        object.__setattr__(self, "total", total)
        super().__init__(0, size, CPU)

    def add(self, values: Tensor) -> Tensor:
        return self.total  # type: ignore[attr-defined,no-any-return]


TINY_TP2DETR = TP2DETRConfig(**(TINY_MODEL | {"name": "tp2detr", "num_levels": 2}))
TINY_TADTR = TadTRConfig(**(TINY_MODEL | {"name": "tadtr", "roi_bins": 2, "actionness_dim": 8}))
TINY_ACTIONFORMER = ActionFormerConfig.tiny(drop_path=0.0)
TINY_TRIDET = TriDetConfig.tiny(drop_path=0.0, input_noise=0.0)
TINY_GAP = GAPConfig.tiny(dropout=0.0)
TINY = [TINY_DETECTOR, TINY_TP2DETR, TINY_TADTR, TINY_GAP, TINY_ACTIONFORMER, TINY_TRIDET]


def detector(config: DetectorConfig = TINY_DETECTOR) -> NormalisedDetector:
    torch.manual_seed(0)
    return build(config, input_dim=4, num_classes=2, bf16=False)


def step_of(
    model: NormalisedDetector, workers: Workers, clip_norm: float | None = None, accumulate: int = 1
) -> TrainStep:
    optimiser = build_optimiser(model, OptimiserConfig(lr=1e-3))
    criterion = build_criterion(DETECTORS[model.detector.config.name].loss())
    return TrainStep(model, criterion, optimiser, workers, clip_norm, accumulate)


def batch() -> tuple[Tensor, list[Target]]:
    generator = torch.Generator().manual_seed(1)
    counts = [3, 1, 0, 2, 1]
    targets = [
        Target(torch.rand(count, 2, generator=generator).sort(dim=1).values, torch.arange(count) % 2)
        for count in counts
    ]
    return torch.randn(5, 10, 4, generator=generator), targets


def share(rows: Sequence[int], counts: bool = True) -> Share:
    features, targets = batch()
    padding_mask = torch.zeros(len(rows), 10, dtype=torch.bool)
    return Share(features[list(rows)], padding_mask, [targets[row] for row in rows], counts)


def counts_of_the_batch(config: DetectorConfig) -> tuple[float, ...]:
    """What the losses of the whole batch are divided by: of set prediction its seven targets."""
    whole = share(range(5))
    counts = build_criterion(DETECTORS[config.name].loss()).normaliser.count(
        whole.padding_mask, whole.targets
    )
    assert counts[0] == 7 or config in (TINY_ACTIONFORMER, TINY_TRIDET)
    return counts


def gradient(model: NormalisedDetector) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("shares", [[[0, 2, 4], [1, 3]], [[0, 1, 2, 3, 4], []], [[0], [1, 2], [3, 4]]])
@pytest.mark.parametrize("config", TINY, ids=lambda config: config.name)
def test_shares_add_up_to_the_whole(shares: list[list[int]], config: DetectorConfig) -> None:
    whole = detector(config)
    losses, norm = step_of(whole, Workers(0, 1, CPU))(share(range(5)))
    assert norm == pytest.approx(gradient(whole).norm().item(), rel=1e-5)

    parts, part_losses = [], []
    for rows in shares:
        model = detector(config)
        counts = counts_of_the_batch(config)
        workers = Pretended(len(shares), torch.tensor([*counts, 0, 0]))
        part_losses.append(step_of(model, workers)(share(rows or [0], counts=bool(rows)))[0])
        parts.append(gradient(model))
    # DDP would take the mean of these.
    torch.testing.assert_close(torch.stack(parts).mean(dim=0), gradient(whole), rtol=1e-4, atol=1e-6)
    for name, loss in losses.items():
        together = sum(part[name] for part in part_losses)
        torch.testing.assert_close(together, loss, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("accumulate", [2, 3, 9])
@pytest.mark.parametrize("config", TINY, ids=lambda config: config.name)
def test_a_share_learnt_in_parts_gives_the_gradient_of_the_whole(
    accumulate: int, config: DetectorConfig
) -> None:
    whole, cut = detector(config), detector(config)
    losses, norm = step_of(whole, Workers(0, 1, CPU))(share(range(5)))
    part_losses, part_norm = step_of(cut, Workers(0, 1, CPU), accumulate=accumulate)(share(range(5)))
    torch.testing.assert_close(gradient(cut), gradient(whole), rtol=1e-4, atol=1e-6)
    assert part_norm == pytest.approx(norm.item(), rel=1e-4)
    for name, loss in losses.items():
        torch.testing.assert_close(part_losses[name], loss, rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped() -> None:
    model = detector()
    _, norm = step_of(model, Workers(0, 1, CPU), clip_norm=0.1)(share(range(5)))
    assert norm > 0.1
    assert gradient(model).norm() == pytest.approx(0.1, rel=1e-3)


def test_a_prediction_that_is_not_a_number_stops_the_run_and_spares_the_weights() -> None:
    model = detector()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    bad = share(range(5))
    bad.features[2, 3, 1] = torch.nan
    step = step_of(model, Workers(0, 1, CPU))
    step(bad)
    with pytest.raises(DivergedError, match="prediction"):
        step.settle()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_one_worker_wishes_all_hear_of() -> None:
    step = step_of(detector(), Pretended(2, torch.tensor([7.0, 1, 0])))
    step(share(range(3)))
    assert step.wishes == NO_WISHES  # the device is not waited for
    step.settle()
    assert step.wishes == Wishes(save=True)


def test_the_next_step_stops_for_what_one_has_met() -> None:
    step = step_of(detector(), Workers(0, 1, CPU))
    bad = share(range(5))
    bad.features[0] = torch.nan
    step(bad)
    with pytest.raises(DivergedError, match="prediction"):
        step(share(range(5)))


def test_a_gradient_that_is_not_a_number_spares_the_weights() -> None:
    model = detector()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.detector.decoder.position.register_hook(lambda grad: grad * torch.inf)
    step = step_of(model, Workers(0, 1, CPU), clip_norm=0.1)
    step(share(range(5)))
    with pytest.raises(DivergedError, match="gradient"):
        step.settle()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
