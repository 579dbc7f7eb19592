"""Standardised features: statistics that travel with the weights, so that inference cannot forget them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.detection import DetectorOutput
from pipeline.features.store import VideoFeatures
from pipeline.training.feature_cache import FeatureCache
from pipeline.training.windows import Window
from pipeline.training.workers import Workers

# A dimension that hardly varies (a dead unit) is centred but not blown up.
_LEAST_DEVIATION = 1e-6


class NormalisedDetector(nn.Module):
    """A detector behind `(features - mean) / deviation`, in the arithmetic that its run was trained with.

    Mean 0 and deviation 1 until `set_statistics`. Both are buffers, and so part of every checkpoint.
    """

    feature_mean: Tensor
    feature_deviation: Tensor

    def __init__(self, detector: nn.Module, input_dim: int, bf16: bool) -> None:
        super().__init__()
        self.detector = detector
        self.bf16 = bf16
        self.register_buffer("feature_mean", torch.zeros(input_dim))
        self.register_buffer("feature_deviation", torch.ones(input_dim))

    def set_statistics(self, mean: Tensor, deviation: Tensor) -> None:
        """Use these statistics of the training features, `[input_dim]` each."""
        self.feature_mean.copy_(mean)
        self.feature_deviation.copy_(deviation)

    def forward(self, features: Tensor, padding_mask: Tensor) -> DetectorOutput:
        """Features `[B, T, input_dim]` float32 and padding mask `[B, T]`, as every detector takes them."""
        features = (features - self.feature_mean) / self.feature_deviation
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.bf16):
            return self.detector(features, padding_mask)


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
