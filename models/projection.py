"""From the width of a backbone's features to a model's."""

from torch import Tensor, nn


class InputProjection(nn.Module):
    """Features of a backbone to the model's width, `[B, T, input_dim]` to `[B, T, dim]`.

    Normalised by LayerNorm over each token's channels. The GroupNorm that DETRs put here takes its statistics
    over time as well: padding would leak into them, and a token would depend on where its window was cut.
    """

    def __init__(self, input_dim: int, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_dim, dim)
        self.norm = nn.LayerNorm(dim)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.norm(self.linear(features))
