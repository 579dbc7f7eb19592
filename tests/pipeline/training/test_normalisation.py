"""Feature statistics against numpy, and that the detector sees standardised features."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.training.feature_cache import FeatureCache
from pipeline.training.feature_statistics import feature_statistics
from pipeline.training.normalisation import NormalisedDetector
from pipeline.training.workers import Workers
from tests.pipeline.synthetic import features_of, make_videos, write_store

ALONE = Workers(rank=0, size=1, device=torch.device("cpu"))


class Spy(nn.Module):
    """Remembers what it was given."""

    def forward(self, features: Tensor, padding_mask: Tensor) -> None:
        self.features, self.autocast = features, torch.is_autocast_enabled("cpu")


def test_statistics_are_those_of_all_snippets(tmp_path) -> None:
    videos = make_videos(5, "train", seed=5)
    features = {v.video_id: features_of(v, offset=300.0) for v in videos}
    for array in features.values():
        array[:, 3] = 7.0
    store = write_store(str(tmp_path), videos, features=features)
    entries = [store.index()[v.video_id] for v in videos]
    mean, deviation = feature_statistics(FeatureCache(store, 1), entries, 4, ALONE)
    together = np.concatenate(list(features.values())).astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), together.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(deviation.numpy()[:3], together.std(axis=0)[:3], rtol=1e-7)
    assert deviation[3] == pytest.approx(1e-6)


def test_the_detector_sees_standardised_features() -> None:
    detector = NormalisedDetector(Spy(), input_dim=3, bf16=False)
    features, padding_mask = torch.randn(2, 5, 3), torch.zeros(2, 5, dtype=torch.bool)
    detector(features, padding_mask)
    assert torch.equal(detector.detector.features, features)
    assert not detector.detector.autocast
    detector.set_statistics(torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 2, 4]))
    detector(features, padding_mask)
    expected = (features.numpy() - [1, 2, 3]) / [1, 2, 4]
    np.testing.assert_allclose(detector.detector.features.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_bf16_reaches_the_detector_but_not_the_statistics() -> None:
    detector = NormalisedDetector(Spy(), input_dim=3, bf16=True)
    detector(torch.randn(2, 5, 3), torch.zeros(2, 5, dtype=torch.bool))
    assert detector.detector.autocast
    assert detector.detector.features.dtype == torch.float32


def test_statistics_are_part_of_the_weights() -> None:
    names = NormalisedDetector(Spy(), input_dim=3, bf16=False).state_dict().keys()
    assert names == {"feature_mean", "feature_deviation"}
