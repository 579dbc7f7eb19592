"""Static rectifying: a proposal reads the features that it lies on, then proposals look at each other (GAP)."""

from torch import Tensor, nn

from models.gap.config import GAPConfig
from models.levels import Level, flatten
from models.roi_features import roi_features


class Rectifying(nn.Module):
    """What a proposal's content becomes more by the features of its segment, as the backbone gave them."""

    def __init__(self, config: GAPConfig, input_dim: int) -> None:
        super().__init__()
        self.bins = config.roi_bins
        self.residual = config.rectify_residual
        self.read = nn.MultiheadAttention(
            config.dim,
            config.num_heads,
            dropout=config.dropout,
            kdim=input_dim,
            vdim=input_dim,
            batch_first=True,
        )
        self.compare = nn.MultiheadAttention(
            config.dim, config.num_heads, dropout=config.dropout, batch_first=True
        )

    def forward(self, content: Tensor, segments: Tensor, features: Tensor, padding_mask: Tensor) -> Tensor:
        """What to add to `content [B, Q, dim]`, `[B, Q, dim]`.

        Args:
            segments: `[B, Q, 2]` (start, end) in [0, 1] of the valid part, without a gradient.
            features: `[B, T, input_dim]`, zero in padding.
            padding_mask: `[B, T]`, True = padding.
        """
        parts = roi_features(flatten([Level(features, padding_mask)]), segments, self.bins)
        query = content.flatten(0, 1)[:, None]
        of_query = parts.flatten(0, 1)
        read, _ = self.read(query, of_query, of_query, need_weights=False)
        read = (query + read).view_as(content)
        compared, _ = self.compare(read, read, read, need_weights=False)
        return read + compared if self.residual else compared
