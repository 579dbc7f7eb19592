"""I3D: Inception-v1 inflated to three dimensions (Carreira and Zisserman, CVPR 2017, Figure 3).

The modules carry the names of the widely used PyTorch port, so that its checkpoints (`rgb_imagenet.pt`,
`flow_imagenet.pt` and those fine-tuned from them) load by their own keys.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURE_DIM = 1024
_BATCH_NORM_EPS = 1e-3

# Channels of a Mixed module: in, then branch 0, branch 1 reduced and full, branch 2 reduced and full, branch 3.
_MIXED = {
    "Mixed_3b": (192, 64, 96, 128, 16, 32, 32),
    "Mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "Mixed_4b": (480, 192, 96, 208, 16, 48, 64),
    "Mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "Mixed_4d": (512, 128, 128, 256, 24, 64, 64),
    "Mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "Mixed_4f": (528, 256, 160, 320, 32, 128, 128),
    "Mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "Mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}


class I3D(nn.Module):
    """One stream of I3D: `in_channels` 3 for RGB, 2 for flow, values in [-1, 1].

    The published networks see pictures of 224 pixels; any size and number of frames will do, for all padding is
    TensorFlow's "SAME", computed from the input.
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 400) -> None:
        super().__init__()
        layers: list[tuple[str, nn.Module]] = [
            ("Conv3d_1a_7x7", _ConvUnit(in_channels, 64, kernel=7, stride=2)),
            ("MaxPool3d_2a_3x3", _MaxPool((1, 3, 3), (1, 2, 2))),
            ("Conv3d_2b_1x1", _ConvUnit(64, 64)),
            ("Conv3d_2c_3x3", _ConvUnit(64, 192, kernel=3)),
            ("MaxPool3d_3a_3x3", _MaxPool((1, 3, 3), (1, 2, 2))),
            *((name, _Mixed(*_MIXED[name])) for name in ("Mixed_3b", "Mixed_3c")),
            ("MaxPool3d_4a_3x3", _MaxPool((3, 3, 3), (2, 2, 2))),
            *((name, _Mixed(*_MIXED[name])) for name in _MIXED if name.startswith("Mixed_4")),
            ("MaxPool3d_5a_2x2", _MaxPool((2, 2, 2), (2, 2, 2))),
            *((name, _Mixed(*_MIXED[name])) for name in ("Mixed_5b", "Mixed_5c")),
        ]
        for name, layer in layers:
            self.add_module(name, layer)
        self._order = [name for name, _ in layers]
        self.logits = _ConvUnit(FEATURE_DIM, num_classes, classifier=True)

    def features(self, clips: Tensor) -> Tensor:
        """`[N, 1024]`: the mean over time and space of the last Mixed module, for `clips` `[N, C, T, S, S]`.

        For 16 frames of 224 pixels that is the 2x7x7 average pool in front of the published logits.
        """
        for name in self._order:
            clips = self.get_submodule(name)(clips)
        return clips.mean(dim=(2, 3, 4), dtype=torch.promote_types(clips.dtype, torch.float32))

    def classify(self, features: Tensor) -> Tensor:
        """Class logits `[N, num_classes]` of `features` `[N, 1024]`."""
        logits: Tensor = self.logits(features[:, :, None, None, None])
        return logits[:, :, 0, 0, 0]

    def forward(self, clips: Tensor) -> Tensor:
        """`features`, the product that feature networks have in common."""
        return self.features(clips)


class _ConvUnit(nn.Module):
    """Convolution with "SAME" padding; then batch norm and ReLU, or for the classifier a bias alone."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, classifier: bool = False
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(in_channels, out_channels, kernel, stride, bias=classifier)
        nn.init.kaiming_normal_(self.conv3d.weight, nonlinearity="relu")
        self.bn = None if classifier else nn.BatchNorm3d(out_channels, eps=_BATCH_NORM_EPS, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv3d
        before, after = _same_padding(x, conv.kernel_size, conv.stride)
        if before == after:  # no padded copy of the input is needed
            x = F.conv3d(x, conv.weight, conv.bias, conv.stride, before)
        else:
            x = conv(_pad(x, before, after))
        return x if self.bn is None else F.relu(self.bn(x), inplace=True)


class _MaxPool(nn.Module):
    """Max pooling with "SAME" padding; what is pooled is never negative, so zeros pad as well as anything."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        before, after = _same_padding(x, self.kernel, self.stride)
        if before == after:
            return F.max_pool3d(x, self.kernel, self.stride, before)
        return F.max_pool3d(_pad(x, before, after), self.kernel, self.stride)


class _Mixed(nn.Module):
    """Four branches side by side: 1x1x1, two of 1x1x1 then 3x3x3, and a pool then 1x1x1."""

    def __init__(
        self, dim: int, direct: int, reduced1: int, full1: int, reduced2: int, full2: int, pooled: int
    ) -> None:
        super().__init__()
        self.b0 = _ConvUnit(dim, direct)
        self.b1a = _ConvUnit(dim, reduced1)
        self.b1b = _ConvUnit(reduced1, full1, kernel=3)
        self.b2a = _ConvUnit(dim, reduced2)
        self.b2b = _ConvUnit(reduced2, full2, kernel=3)
        self.b3a = _MaxPool((3, 3, 3), (1, 1, 1))
        self.b3b = _ConvUnit(dim, pooled)

    def forward(self, x: Tensor) -> Tensor:
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, dim=1)


def _same_padding(
    x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """TensorFlow's "SAME" padding before and after each of the three axes: the odd one goes after."""
    totals = [
        max(size_k - (size % step or step), 0)
        for size, size_k, step in zip(x.shape[2:], kernel, stride, strict=True)
    ]
    return tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)


def _pad(x: Tensor, before: tuple[int, ...], after: tuple[int, ...]) -> Tensor:
    # F.pad counts axes from the last.
    pairs = zip(reversed(before), reversed(after), strict=True)
    return F.pad(x, [size for pair in pairs for size in pair])
