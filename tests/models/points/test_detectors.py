"""What all point detectors promise: padding changes nothing, gradients everywhere, one batch learnt by heart."""

import numpy as np
import pytest
import torch

from models.actionformer import ActionFormerConfig
from models.detection import Target, decode
from models.detectors import build_criterion, build_detector
from models.points.loss import PointCriterion
from models.segments import pairwise_tiou
from models.tridet import TriDetConfig
from pipeline.detector.merging import surviving
from tests.models.deformable_detr.test_model import padded, restless
from tests.models.one_batch import learn, make_batch
from tests.models.points.cases import POINT_DETECTORS

EVERY = pytest.mark.parametrize("name", POINT_DETECTORS)


@EVERY
def test_a_sample_alone_and_padded_in_a_batch_give_the_same(name: str) -> None:
    torch.manual_seed(0)
    model = restless(build_detector(POINT_DETECTORS[name][0], 16, 3))
    samples = [torch.randn(length, 16) for length in (1, 2, 7, 12, 33, 47)]
    for length in (47, 64, 100):
        rows = [
            padded(sample, length, junk=float("nan") if i % 2 else 1e4) for i, sample in enumerate(samples)
        ]
        together = model(torch.cat([row for row, _ in rows]), torch.cat([mask for _, mask in rows]))
        valid = together.final.valid
        for index, sample in enumerate(samples):
            alone = model(sample[None], torch.zeros(1, len(sample), dtype=torch.bool))
            assert alone.final.valid.all()
            for field in ("segments", "logits"):
                torch.testing.assert_close(
                    getattr(together.final, field)[index][valid[index]],
                    getattr(alone.final, field)[0],
                    atol=1e-5,
                    rtol=1e-4,
                )


@EVERY
def test_every_parameter_learns_and_junk_in_padding_reaches_none(name: str) -> None:
    torch.manual_seed(0)
    config, loss = POINT_DETECTORS[name]
    model = restless(build_detector(config, 16, 3)).train()
    features, mask = padded(torch.randn(40, 16), 50, junk=float("nan"))
    target = Target(torch.tensor([[0.1, 0.3], [0.15, 0.8], [0.5, 0.52]]), torch.tensor([0, 2, 1]))
    PointCriterion(loss)(model(features, mask), [target])["total"].backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@EVERY
def test_a_fresh_detector_calls_every_class_rare(name: str) -> None:
    torch.manual_seed(0)
    model = build_detector(POINT_DETECTORS[name][0], 16, 3).eval()
    output = model(torch.randn(1, 64, 16), torch.zeros(1, 64, dtype=torch.bool))
    assert output.final.logits.mean().item() == pytest.approx(-4.595, abs=0.3)
    assert (output.points.distances >= 0).all()


@EVERY
def test_bfloat16_stays_near_float32_and_tells_boundaries_in_float32(name: str) -> None:
    torch.manual_seed(0)
    model = build_detector(POINT_DETECTORS[name][0], 16, 3).eval()
    features, mask = torch.randn(1, 64, 16), torch.zeros(1, 64, dtype=torch.bool)
    exact = model(features, mask)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(features, mask)
    assert output.final.segments.dtype == output.final.logits.dtype == torch.float32
    torch.testing.assert_close(output.final.logits, exact.final.logits, atol=0.1, rtol=0.1)


@EVERY
def test_a_detector_learns_one_batch_by_heart(name: str) -> None:
    """Padded samples, overlapping actions, one without any: after suppression each comes back, and nothing else."""
    torch.manual_seed(0)
    config, loss = POINT_DETECTORS[name]
    model = build_detector(config, 16, 3)
    criterion = build_criterion(loss)
    batch = make_batch()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    learnt = learn(model, criterion, batch, optimizer, [3e-3], steps=300)
    assert learnt.last < 0.1 < 0.7 < learnt.first

    for found, target in zip(decode(learnt.output, top_k=100, min_score=0.3), batch.targets, strict=True):
        columns = [found.segments.double().numpy(), found.scores.double().numpy(), found.labels.numpy()]
        count = len(columns[1])
        kept = surviving(
            *columns, np.zeros(count, dtype=int), np.ones((count, 2), dtype=bool), 0.3, ties=columns[2]
        )
        assert len(kept) == len(target.labels)
        if len(target.labels):
            tiou, best = pairwise_tiou(target.segments, found.segments[kept]).max(dim=1)
            assert tiou.mean() > 0.9
            assert found.labels[kept][best].tolist() == target.labels.tolist()


@pytest.mark.parametrize("detector", [ActionFormerConfig, TriDetConfig])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_levels": 0}, "num_levels=0 must be at least 1"),
        ({"stem_blocks": -1}, "stem_blocks=-1 must be at least 0"),
        ({"drop_path": 1.0}, r"drop_path=1\.0"),
        ({"class_prior": 0.0}, r"class_prior=0\.0"),
    ],
)
def test_impossible_settings_are_named(
    detector: type[ActionFormerConfig | TriDetConfig], changes: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        detector.tiny(**changes)
