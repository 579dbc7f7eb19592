"""What comes of a video does not depend on the batches that its windows travel in."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from pipeline.detector.build import build
from pipeline.detector.detect import detect_videos, detect_windows
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.detector.rescaling import Rescaling
from pipeline.detector.settings import MergeConfig, WindowConfig
from pipeline.detector.windows import cut_windows
from pipeline.features.store import FeatureStore
from pipeline.segments.detections import VideoDetections
from tests.pipeline.synthetic import (
    SPEC,
    TINY_DETECTOR,
    SyntheticVideo,
    features_of,
    make_videos,
    write_store,
)

# The last is shorter than a window, so that batches hold padding.
VIDEOS = [*make_videos(4, "test", seed=4), SyntheticVideo("test_short", 5.0, ((1.0, 3.0, "jump"),), "test")]
WINDOWS = WindowConfig(length=32, train_step=32, test_step=8)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return write_store(str(tmp_path_factory.mktemp("store")), VIDEOS)


@pytest.fixture(scope="module")
def detector() -> NormalisedDetector:
    torch.manual_seed(0)
    return build(TINY_DETECTOR, SPEC.dim, num_classes=2, bf16=False).eval()


def detections(
    store: FeatureStore,
    detector: NormalisedDetector,
    batch_size: int,
    cache_mb: float,
    windows: WindowConfig = WINDOWS,
    mixed: bool = False,
) -> dict[str, VideoDetections]:
    found = detect_videos(
        detector, list(store.index().values()), FeatureCache(store, cache_mb),
        windows=windows, merge=MergeConfig(window_top_k=6), batch_size=batch_size, device=CPU, mixed=mixed,
    )  # fmt: skip
    return {video.video_id: merged for video, merged in found}


def test_batches_do_not_show(store: FeatureStore, detector: NormalisedDetector) -> None:
    results = [detections(store, detector, *setting) for setting in [(1, 1), (7, 1), (64, 1), (7, 0.001)]]
    results.append(detections(store, detector, 7, 1, mixed=True))
    for left, right in pairwise(results):
        assert list(left) == list(right) == sorted(video.video_id for video in VIDEOS)
        for video_id in left:
            np.testing.assert_allclose(left[video_id].scores, right[video_id].scores, atol=1e-5)
            np.testing.assert_allclose(left[video_id].segments, right[video_id].segments, atol=1e-3)


@pytest.mark.parametrize("windows", [WINDOWS, WindowConfig(mode="whole")])
def test_other_videos_do_not_show_to_the_bit(
    store: FeatureStore, detector: NormalisedDetector, windows: WindowConfig
) -> None:
    together = detections(store, detector, 7, 1, windows)
    for video in store.index().values():
        ((_, alone),) = detect_videos(
            detector, [video], FeatureCache(store, 1), windows=windows, merge=MergeConfig(window_top_k=6),
            batch_size=7, device=CPU,
        )  # fmt: skip
        for name in ("segments", "labels", "scores"):
            np.testing.assert_array_equal(getattr(together[video.video_id], name), getattr(alone, name))


@pytest.mark.parametrize(
    "windows",
    [
        WindowConfig(mode="rescale", length=20),
        WindowConfig(mode="rescale", length=20, interpolation="linear"),
        WindowConfig(mode="whole"),
    ],
)
def test_a_video_at_a_time_comes_back_in_its_own_seconds(
    store: FeatureStore, detector: NormalisedDetector, windows: WindowConfig
) -> None:
    found = detections(store, detector, 3, 1, windows)
    for video in VIDEOS:
        features = features_of(video).astype(np.float32)
        if windows.mode == "rescale":
            features = Rescaling(20, windows.interpolation).apply(features)
        with torch.no_grad():
            final = detector(
                torch.from_numpy(features)[None], torch.zeros(1, len(features), dtype=torch.bool)
            ).final
        probability, query = final.logits[0].sigmoid().flatten().max(0)
        best = final.segments[0, query // 2].double().clamp(0, 1).numpy() * len(features_of(video))
        seconds = SPEC.timeline.to_seconds(best).clip(0, video.duration)
        assert found[video.video_id].scores[0] == pytest.approx(probability.item(), abs=1e-5)
        np.testing.assert_allclose(found[video.video_id].segments[0], seconds, atol=1e-3)


def test_detections_lie_in_their_video(store: FeatureStore, detector: NormalisedDetector) -> None:
    for video_id, merged in detections(store, detector, 8, 1).items():
        assert len(merged.scores)
        assert (merged.segments >= 0).all()
        assert (merged.segments <= store.index()[video_id].duration).all()
        assert (np.diff(merged.scores) <= 0).all()


def test_a_window_is_what_the_detector_says_of_it_alone(
    store: FeatureStore, detector: NormalisedDetector
) -> None:
    video = VIDEOS[0]
    windows = cut_windows(video.video_id, len(features_of(video)), 32, 8)
    found = detect_windows(detector, windows, FeatureCache(store, 1), batch_size=3, top_k=1, device=CPU)
    for window, (same, best) in zip(windows, found, strict=True):
        assert window == same
        features = torch.from_numpy(features_of(video)[window.start : window.stop]).float()[None]
        with torch.no_grad():
            final = detector(features, torch.zeros(1, 32, dtype=torch.bool)).final
        probabilities = final.logits[0].sigmoid()
        assert best.scores[0].item() == pytest.approx(probabilities.max().item(), abs=1e-5)
        query, label = divmod(int(probabilities.argmax()), 2)
        assert best.labels[0] == label
        torch.testing.assert_close(best.segments[0], final.segments[0, query], atol=1e-5, rtol=1e-5)


def test_what_is_no_number_is_an_error_and_not_an_absence(tmp_path, detector: NormalisedDetector) -> None:
    broken = {VIDEOS[1].video_id: np.full_like(features_of(VIDEOS[1]), np.nan)}
    store = write_store(str(tmp_path), VIDEOS, features=broken)
    with pytest.raises(FloatingPointError, match=VIDEOS[1].video_id):
        detections(store, detector, 4, 1)
