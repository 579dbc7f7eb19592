"""RoI-align along time against torchvision's, which GAP uses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import roi_align as roi_align_of_pictures

from models.roi_align import overlap_means, roi_align, roi_means


def of_torchvision(features: np.ndarray, segments: np.ndarray, bins: int) -> np.ndarray:
    """A picture of height 1, whose only row is the sequence."""
    picture = torch.from_numpy(features.T[None, :, None].copy())
    boxes = torch.zeros(len(segments), 5)
    boxes[:, 1], boxes[:, 3], boxes[:, 4] = (
        torch.from_numpy(segments[:, 0]),
        torch.from_numpy(segments[:, 1]),
        1,
    )
    found = roi_align_of_pictures(picture, boxes, (1, bins), sampling_ratio=-1, aligned=False)
    return found[:, :, 0].transpose(1, 2).numpy()


@settings(deadline=None)
@given(length=st.integers(1, 70), bins=st.integers(1, 20), seed=st.integers(0, 10**6))
def test_it_is_torchvisions(length: int, bins: int, seed: int) -> None:
    """Segments of no length, beside the sequence and turned around among them."""
    random = np.random.default_rng(seed)
    features = random.standard_normal((length, 3)).astype(np.float32)
    segments = random.uniform(-0.2 * length, 1.2 * length, (9, 2)).astype(np.float32)
    segments[0] = 0.0, length
    segments[1] = segments[1, 0]
    expected = of_torchvision(features, segments, bins)
    np.testing.assert_allclose(roi_align(features, segments, bins), expected, atol=2e-5)
    np.testing.assert_allclose(roi_means(features, segments, bins), expected.mean(1), atol=2e-5)


def test_half_precision_features_are_averaged_in_single_precision() -> None:
    features = np.full((5000, 1), 0.1, dtype=np.float16)
    found = roi_means(features, np.array([[0.0, 4999.0]]), 16)
    assert found.dtype == np.float32
    assert found[0, 0] == pytest.approx(float(features[0, 0]), rel=1e-3)


@settings(deadline=None)
@given(length=st.integers(1, 40), seed=st.integers(0, 10**6))
def test_the_plain_mean_is_that_of_a_fine_comb(length: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    features = random.standard_normal((length, 2))
    start = random.uniform(0, max(length - 1, 0), 6)
    segments = np.stack([start, np.minimum(start + 1 + random.exponential(5, 6), length)], axis=1)
    for (begin, end), found in zip(segments, overlap_means(features, segments), strict=True):
        comb = begin + (np.arange(4000) + 0.5) / 4000 * (end - begin)
        np.testing.assert_allclose(found, features[comb.astype(int).clip(max=length - 1)].mean(0), atol=5e-3)


def test_a_segment_of_no_length_is_its_nearest_token() -> None:
    features = np.arange(5.0)[:, None]
    found = overlap_means(features, np.array([[2.5, 2.5], [-3.0, -2.0], [9.0, 12.0], [3.2, 3.9], [5.0, 5.0]]))
    assert found[:, 0].tolist() == [2, 0, 4, 3, 4]


def test_no_segments() -> None:
    assert roi_align(np.zeros((4, 3), np.float32), np.zeros((0, 2)), 16).shape == (0, 16, 3)
    assert roi_means(np.zeros((4, 3), np.float32), np.zeros((0, 2)), 16).shape == (0, 3)
    assert overlap_means(np.zeros((4, 3), np.float32), np.zeros((0, 2))).shape == (0, 3)
