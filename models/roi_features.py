"""RoI-align along time within a network: what a detector's tokens are over its own segments, with a gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.levels import Tokens


def roi_features(tokens: Tokens, segments: Tensor, bins: int) -> Tensor:
    """The finest level's features over each segment in `bins` parts, each the mean of samples between tokens.

    What `models.roi_align.roi_align` gives for each sample's valid part: a segment is at least one token long, a bin
    has as many samples as it has tokens, rounded up, and place x lies on token x. Gathered and summed in one pass, as
    in `models.attention`.

    Args:
        tokens: features `[B, S, C]`; those of padding are not read.
        segments: `[B, Q, 2]` (start, end) in [0, 1] of each sample's valid part.
        bins: parts of a segment.
    Returns:
        `[B, Q, bins, C]`, with a gradient for the features alone.
    """
    length = tokens.lengths[0]
    padding = tokens.padding_mask[:, :length]
    features = tokens.features[:, :length].float().masked_fill(padding[..., None], 0.0)
    valid = (~padding).sum(dim=1)[:, None, None, None].float()

    start, end = (segments.detach().float()[:, :, None, None] * valid[..., None]).unbind(-1)
    span = (end - start).clamp(min=1.0)
    count = (span / bins).ceil()
    most = -(-length // bins)  # samples that any bin has
    device = features.device
    sample, bin_ = torch.arange(most, device=device), torch.arange(bins, device=device)[:, None]
    place = start + (bin_ * count + sample + 0.5) * span / (bins * count)  # [B, Q, bins, most]

    counts = (sample < count) & (place >= -1) & (place <= valid)
    inside = torch.minimum(place.clamp(min=0), (valid - 1).clamp(min=0))
    left = torch.minimum(inside.floor(), (valid - 2).clamp(min=0))
    fraction = inside - left
    share = torch.stack((1 - fraction, fraction), dim=-1) * (counts / count)[..., None]
    # A place that is no number reads some token, and stays none by its share.
    row = left.nan_to_num(0.0).long()[..., None] + torch.arange(2, device=device)
    row = torch.minimum(row, (valid - 1).clamp(min=0).long()[..., None])
    row = row + length * torch.arange(len(features), device=device)[:, None, None, None, None]
    read = F.embedding_bag(
        row.flatten(3).flatten(0, 2),
        features.flatten(0, 1),
        per_sample_weights=share.flatten(3).flatten(0, 2),
        mode="sum",
    )
    return read.view(*segments.shape[:2], bins, -1).to(tokens.features.dtype)
