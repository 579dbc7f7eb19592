import pytest
import torch

from models.deformable_detr import DeformableDETR
from models.detection import DetectorOutput, SetPrediction, decode, is_finite
from models.detectors import build_detector
from models.tadtr import TadTR, TadTRConfig
from tests.models.deformable_detr.test_model import padded, restless


def size(config: TadTRConfig, input_dim: int, num_classes: int) -> int:
    return sum(parameter.numel() for parameter in TadTR(config, input_dim, num_classes).parameters())


@pytest.mark.parametrize(
    ("config", "num_classes", "published"),
    [
        (TadTRConfig(), 20, 8_661_594),
        (TadTRConfig(actionness=False), 20, 7_546_713),
        (TadTRConfig(), 65, 8_707_854),
        (TadTRConfig(num_queries=150), 65, 8_764_174),
        (TadTRConfig(), 1, 8_642_062),
    ],
)
def test_parameter_counts_are_the_released_codes(
    config: TadTRConfig, num_classes: int, published: int
) -> None:
    assert size(config, 2048, num_classes) == published


def test_without_actionness_it_is_deformable_detr() -> None:
    torch.manual_seed(0)
    config = TadTRConfig.tiny(actionness=False, roi_bins=16, actionness_dim=256)
    tadtr = restless(build_detector(config, 16, 3))
    plain = DeformableDETR(config, 16, 3).eval()
    plain.load_state_dict(
        {name.removeprefix("deformable_detr."): value for name, value in tadtr.state_dict().items()}
    )
    features, mask = torch.randn(2, 20, 16), torch.zeros(2, 20, dtype=torch.bool)
    theirs, ours = plain(features, mask).final, tadtr(features, mask).final
    torch.testing.assert_close(ours.segments, theirs.segments, rtol=0, atol=0)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=0, atol=0)
    assert ours.actionness is None


def test_a_sample_alone_and_padded_in_a_batch_give_the_same() -> None:
    torch.manual_seed(0)
    model = restless(build_detector(TadTRConfig.tiny(), 16, 3))
    samples = [torch.randn(length, 16) for length in (1, 2, 12, 23)]
    rows = [padded(sample, 23, junk=float("nan")) for sample in samples]
    together = model(torch.cat([row for row, _ in rows]), torch.cat([mask for _, mask in rows])).final
    for index, sample in enumerate(samples):
        alone = model(sample[None], torch.zeros(1, len(sample), dtype=torch.bool)).final
        for name in ("segments", "logits", "actionness"):
            torch.testing.assert_close(
                getattr(together, name)[index], getattr(alone, name)[0], atol=1e-5, rtol=1e-5
            )


def test_only_the_last_layer_has_an_actionness_which_teaches_the_encoder_and_no_box() -> None:
    model = restless(build_detector(TadTRConfig.tiny(), 16, 3))
    output = model(torch.randn(1, 30, 16), torch.zeros(1, 30, dtype=torch.bool))
    assert [layer.actionness is None for layer in output.layers] == [True, False]
    output.final.actionness.sum().backward()
    detr = model.deformable_detr
    assert all(parameter.grad is None for parameter in detr.decoder.parameters())
    assert detr.encoder.layers[0].feed_forward.expand.weight.grad.abs().max() > 0


def test_scores_are_class_times_actionness() -> None:
    prediction = SetPrediction(
        segments=torch.tensor([[[0.1, 0.3], [0.5, 0.9]]]),
        logits=torch.tensor([[[2.0, -1.0], [1.0, 0.5]]]),
        valid=torch.ones(1, 2, dtype=torch.bool),
        actionness=torch.tensor([[-2.0, 1.0]]),
    )
    (found,) = decode(DetectorOutput((prediction,)), top_k=2)
    factor = torch.tensor(1.0).sigmoid()
    torch.testing.assert_close(found.scores, torch.tensor([1.0, 0.5]).sigmoid() * factor)
    assert found.labels.tolist() == [0, 1]
    assert is_finite(DetectorOutput((prediction,)))
    broken = SetPrediction(
        prediction.segments, prediction.logits, prediction.valid, torch.tensor([[torch.nan, 0]])
    )
    assert not is_finite(DetectorOutput((broken,)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"roi_scale": 0.0}, "roi_scale=0"),
        ({"roi_bins": 0}, "roi_bins=0"),
        ({"actionness": False}, "roi_bins=4 needs actionness=true"),
    ],
)
def test_impossible_settings_are_named(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TadTRConfig.tiny(**changes)
