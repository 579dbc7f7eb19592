"""The interface of a feature network: what every family's `load` gives."""

from dataclasses import dataclass

from torch import nn

from pipeline.features.pictures import PictureSize


@dataclass(frozen=True)
class Inputs:
    """What a network wants of a video.

    Attributes:
        size: of the pictures and flow fields that it sees.
        rgb: whether it sees pictures.
        flow: whether it sees flow.
    """

    size: PictureSize
    rgb: bool = True
    flow: bool = False

    @property
    def decoded(self) -> PictureSize:
        """What becomes of a frame while it is decoded: flow is computed before the crop, for the sake of its border."""
        return self.size.uncropped() if self.flow else self.size


@dataclass(frozen=True)
class Backbone:
    """A loaded feature network and how it wants its frames.

    Attributes:
        encoder: uint8 pictures `[N, S, S, 3]`, or clips `[N, T, S, S, 3]` where `sees_clips`, to embeddings
            `[N, dim]` float32. A network that sees flow takes clips of it, `[N, T, S, S, 2]`, as its last argument.
        inputs: what it takes.
        sees_clips: True for a video network, which sees the sampled frames of a snippet together; an image network
            sees each frame alone, and a snippet's vector is the mean.
        dim: width of an embedding.
        weights: digest of the parameters.
        normalisation: mean and std of the input channels, for the FeatureSpec.
    """

    encoder: nn.Module
    inputs: Inputs
    sees_clips: bool
    dim: int
    weights: str
    normalisation: dict[str, list[float]]
