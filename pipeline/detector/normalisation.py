"""Standardised features: statistics that travel with the weights, so that inference cannot forget them."""

import torch
from torch import Tensor, nn

from models.detection import DetectorOutput, HasSalience, Salience


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
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.bf16):
            return self.detector(self._normalised(features), padding_mask)

    def salience(self, features: Tensor, padding_mask: Tensor) -> dict[str, Salience]:
        """The foreground logits of a detector's salience heads; empty for one without any."""
        if not isinstance(self.detector, HasSalience):
            return {}
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.bf16):
            return self.detector.salience(self._normalised(features), padding_mask)

    def _normalised(self, features: Tensor) -> Tensor:
        return (features - self.feature_mean) / self.feature_deviation
