"""What features are in segments of any length: RoI-align along time, in a fixed number of bins, and the plain mean."""

import numpy as np
from scipy.sparse import csr_array


def roi_align(features: np.ndarray, segments: np.ndarray, bins: int) -> np.ndarray:
    """The features of each segment in `bins` parts, each the mean of samples taken by linear interpolation.

    As GAP takes it from torchvision, in one dimension (`aligned=False`, adaptive): a segment is at least one token
    long, a bin has as many samples as it has tokens, rounded up, and place x lies on token x, not between two.

    Args:
        features: `[T, C]`.
        segments: `[N, 2]` (start, end) in tokens, [0, T] being the whole.
        bins: parts of a segment.
    Returns:
        `[N, bins, C]` float32.
    """
    counts, places = _samples(segments, bins)
    rows = np.repeat(np.arange(len(segments) * bins), np.repeat(counts, bins))
    share = np.repeat(1 / counts, counts * bins)
    weights = _interpolation(places, share, rows, (len(segments) * bins, len(features)))
    return (weights @ features.astype(np.float32)).reshape(len(segments), bins, features.shape[1])


def roi_means(features: np.ndarray, segments: np.ndarray, bins: int) -> np.ndarray:
    """The mean of `roi_align` over the bins, `[N, C]` float32, without making the bins."""
    counts, places = _samples(segments, bins)
    rows = np.repeat(np.arange(len(segments)), counts * bins)
    share = np.repeat(1 / (counts * bins), counts * bins)
    weights = _interpolation(places, share, rows, (len(segments), len(features)))
    return weights @ features.astype(np.float32)


def overlap_means(features: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """The mean over each segment, a token counting by the part of it that lies inside: `[N, C]` float32.

    A segment shorter than a token, or beside the sequence, is the token nearest to its centre. Arguments as of
    `roi_align`.
    """
    num_tokens = len(features)
    start, end = np.clip(np.asarray(segments, dtype=np.float64), 0, num_tokens).T
    short = end - start < 1
    token = np.clip(np.floor(np.mean(segments, axis=1)), 0, num_tokens - 1)
    start, end = np.where(short, token, start), np.where(short, token + 1, end)
    first = np.floor(start).astype(np.int64)
    counts = np.ceil(end).astype(np.int64) - first
    rows = np.repeat(np.arange(len(segments)), counts)
    tokens = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first, counts)
    inside = np.minimum(tokens + 1, end[rows]) - np.maximum(tokens, start[rows])
    share = (inside / (end - start)[rows]).astype(np.float32)
    weights = csr_array((share, (rows, tokens)), shape=(len(segments), num_tokens))
    return weights @ features.astype(np.float32)


def _samples(segments: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """How many samples a bin of each segment has `[N]`, and the places of all, in the order of segments and bins."""
    start = segments[:, 0].astype(np.float64)
    length = np.maximum(segments[:, 1] - start, 1.0)
    counts = np.ceil(length / bins).astype(np.int64)
    totals = counts * bins
    number = np.arange(totals.sum()) - np.repeat(np.cumsum(totals) - totals, totals)
    return counts, np.repeat(start, totals) + (number + 0.5) * np.repeat(length / totals, totals)


def _interpolation(
    places: np.ndarray, share: np.ndarray, rows: np.ndarray, shape: tuple[int, int]
) -> csr_array:
    """The matrix that takes, for each row, the sum of the features at its places, each times its share."""
    num_tokens = shape[1]
    share = np.where((places < -1) | (places > num_tokens), 0.0, share)
    inside = np.clip(places, 0, num_tokens - 1)
    left = np.minimum(inside.astype(np.int64), max(num_tokens - 2, 0))
    fraction = inside - left
    right = np.minimum(left + 1, num_tokens - 1)
    values = np.concatenate([share * (1 - fraction), share * fraction]).astype(np.float32)
    return csr_array((values, (np.tile(rows, 2), np.concatenate([left, right]))), shape=shape)
