"""Mean and deviation of the training features."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.windows import Window
from pipeline.features.video_features import VideoFeatures
from pipeline.training.workers import Workers

_BLOCK_SNIPPETS = 1024
# A dimension whose deviation is less than this part of its own size is constant but for float16's rounding, in which
# neighbouring numbers are 1/2048 to 1/1024 apart.
_LEAST_OF_ITS_SIZE = 2.0**-12
# One that deviates less than this part of the usual hardly ever woke in training; what wakes it later must not count
# thousands of times. What is usual is not asked of those that deviate less than this part of all together.
_LEAST_OF_THE_USUAL = 0.01
_LEAST_OF_ALL = 1e-3


def feature_statistics(
    cache: FeatureCache, videos: Sequence[VideoFeatures], dim: int, workers: Workers
) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each feature dimension over all snippets of `videos`, `[dim]` float64 each.

    A dimension that hardly varies gets the usual deviation (`usual_where_dead`). Each worker reads its share
    of the videos, a block of snippets at a time, and sums in float64, so that neither the order nor the number of
    workers shows in the result's float32 digits.
    """
    count, mean, squares = 0, torch.zeros(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
    for block in _blocks(cache, videos[workers.rank :: workers.size]):
        # Chan's update: squares are always about the mean so far, so that large means cost no digits.
        shift = block.mean(0) - mean
        total = count + len(block)
        mean = mean + shift * (len(block) / total)
        squares += (block - block.mean(0)).square_().sum(0) + shift.square() * (count * len(block) / total)
        count = total
    sums = workers.sum(torch.cat([count * mean, torch.tensor([count], dtype=torch.float64)]))
    mean_of_all = sums[:-1] / sums[-1]
    squares = workers.sum(squares + count * (mean - mean_of_all).square())
    return mean_of_all, usual_where_dead(mean_of_all, (squares / sums[-1]).sqrt())


def usual_where_dead(mean: Tensor, deviation: Tensor) -> Tensor:
    """`deviation [dim]`, but the usual one for dimensions that hardly vary: they are only centred.

    Usual is the median of those that vary; 1 where none does.
    """
    size = (mean.square() + deviation.square()).sqrt()
    together = deviation.square().mean().sqrt()
    varies = (deviation > _LEAST_OF_ITS_SIZE * size) & (deviation > _LEAST_OF_ALL * together)
    usual = deviation[varies].median() if varies.any() else torch.ones((), dtype=deviation.dtype)
    return torch.where(varies & (deviation >= _LEAST_OF_THE_USUAL * usual), deviation, usual)


def _blocks(cache: FeatureCache, videos: Sequence[VideoFeatures]) -> Iterator[Tensor]:
    """The features of `videos`, `[N, dim]` float64 with a bounded N."""
    for video in videos:
        for start in range(0, video.num_snippets, _BLOCK_SNIPPETS):
            length = min(_BLOCK_SNIPPETS, video.num_snippets - start)
            yield torch.from_numpy(cache.read(Window(video.video_id, start, length))).double()
