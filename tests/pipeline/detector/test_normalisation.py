"""Feature statistics against numpy, and that the detector sees standardised features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.detector.windows import Window
from pipeline.training import feature_statistics as statistics_module
from pipeline.training.feature_statistics import feature_statistics, usual_where_dead
from pipeline.training.workers import Workers
from tests.pipeline.synthetic import SPEC, SyntheticVideo, features_of, make_videos, write_store

ALONE = Workers(rank=0, size=1, device=torch.device("cpu"))


class Spy(nn.Module):
    """Remembers what it was given."""

    def forward(self, features: Tensor, padding_mask: Tensor) -> None:
        self.features, self.autocast = features, torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("cache_mb", [1, 1e-6])
def test_statistics_are_those_of_all_snippets(
    tmp_path, monkeypatch: pytest.MonkeyPatch, cache_mb: float
) -> None:
    monkeypatch.setattr(statistics_module, "_BLOCK_SNIPPETS", 37)
    videos = make_videos(5, "train", seed=5)
    features = {v.video_id: features_of(v, offset=300.0) for v in videos}
    for array in features.values():
        array[:, 3] = 7.0
    store = write_store(str(tmp_path), videos, features=features)
    entries = [store.index()[v.video_id] for v in videos]
    mean, deviation = feature_statistics(FeatureCache(store, cache_mb), entries, 4, ALONE)
    together = np.concatenate(list(features.values())).astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), together.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(deviation.numpy()[:3], together.std(axis=0)[:3], rtol=1e-12)
    assert deviation[3] == deviation[:3].median()


def test_two_workers_have_the_statistics_of_one(tmp_path) -> None:
    videos = make_videos(5, "train", seed=5)
    features = {v.video_id: features_of(v, offset=100.0 * number) for number, v in enumerate(videos)}
    store = write_store(str(tmp_path), videos, features=features)
    entries = [store.index()[v.video_id] for v in videos]
    # Both workers in this process: what the one gives to each sum is kept for the other.
    alone = feature_statistics(FeatureCache(store, 1), entries, 4, ALONE)
    given: list[list[torch.Tensor]] = [[], []]

    class Half(Workers):
        def sum(self, values: Tensor) -> Tensor:
            given[self.rank].append(values)
            place = len(given[self.rank]) - 1
            other = given[1 - self.rank]
            return values + (other[place] if len(other) > place else 0)

    # The first passes find each sum of the other worker one after the other.
    for _ in range(3):
        for rank in (0, 1):
            given[rank] = []
            found = feature_statistics(FeatureCache(store, 1), entries, 4, Half(rank, 2, torch.device("cpu")))
    for mine, expected in zip(found, alone, strict=True):
        np.testing.assert_allclose(mine.numpy(), expected.numpy(), rtol=1e-12)


def test_a_dimension_that_hardly_varied_in_training_is_not_blown_up() -> None:
    mean = torch.tensor([0.2, 0.3, 0.1, 7.0, 0.0, 1e-9], dtype=torch.float64)
    deviation = torch.tensor([0.2, 0.4, 0.3, 1e-3, 0.0, 1e-6], dtype=torch.float64)
    filled = usual_where_dead(mean, deviation)
    assert filled.tolist() == [0.2, 0.4, 0.3, 0.3, 0.3, 0.3]
    # The test video: half a unit where training saw nothing.
    assert (0.5 - mean[4]) / filled[4] < 2
    assert usual_where_dead(mean, 0 * deviation).tolist() == [1.0] * 6
    # Not even where most of the dimensions are dead, or the streams' sizes differ by far.
    mostly_dead = torch.cat([torch.full((100,), 1e-6, dtype=torch.float64), deviation[:3]])
    assert usual_where_dead(0 * mostly_dead, mostly_dead).min() == 0.2
    streams = torch.tensor([0.2, 0.3, 0.4, 40.0, 50.0], dtype=torch.float64)
    assert torch.equal(usual_where_dead(0 * streams, streams), streams)


def test_statistics_of_a_long_video_take_little_memory(tmp_path) -> None:
    video = SyntheticVideo("long", 6000.0, ())
    spec = replace(SPEC, dim=256)
    rng = np.random.default_rng(0)
    count = spec.timeline.num_snippets(spec.timeline.num_frames(video.duration))
    array = rng.normal(0, 1, (count, spec.dim)).astype(np.float16)
    store = write_store(str(tmp_path), [video], spec, chunk=512, features={"long": array})
    entries = list(store.index().values())
    cache = FeatureCache(store, 64)
    cache.read(Window("long", 0, 1))  # the features themselves are the cache's
    allocated = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = function(*args, **(kwargs or {}))
            allocated.append(result.numel() * result.element_size() if isinstance(result, Tensor) else 0)
            return result

    with Watch():
        feature_statistics(cache, entries, spec.dim, ALONE)
    assert max(allocated) < array.nbytes


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
