"""Mean and deviation of the training features."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.features.store import VideoFeatures
from pipeline.training.feature_cache import FeatureCache
from pipeline.training.windows import Window
from pipeline.training.workers import Workers

# A dimension that hardly varies (a dead unit) is centred but not blown up.
_LEAST_DEVIATION = 1e-6


def feature_statistics(
    cache: FeatureCache, videos: Sequence[VideoFeatures], dim: int, workers: Workers
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature dimension over all snippets of `videos`, `[dim]` float64
    each.

    Each worker reads its share of the videos one at a time; the sums are float64, so that neither their order
    nor the number of workers shows in the result's float32 digits.
    """
    sums = torch.zeros(2 * dim + 1, dtype=torch.float64)
    for video in videos[workers.rank :: workers.size]:
        features = torch.from_numpy(cache.read(Window(video.video_id, 0, video.num_snippets))).double()
        sums += torch.cat([features.sum(0), features.square().sum(0), torch.tensor([len(features)]).double()])
    sums = workers.sum(sums)
    mean, mean_square = (sums[:-1] / sums[-1]).split(dim)
    variance = (mean_square - mean.square()).clamp(min=0)
    return mean, variance.sqrt().clamp(min=_LEAST_DEVIATION)
