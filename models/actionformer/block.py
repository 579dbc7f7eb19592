"""ActionFormer's block: local attention to convolved neighbours, at full or half the resolution, then a perceptron."""

from torch import Tensor, nn

from models.levels import Level
from models.local_attention import local_attention
from models.points.layers import SkippedBranch
from models.pyramids.blocks import gelu_feed_forward
from models.pyramids.downsampling import max_pool


class ActionFormerBlock(nn.Module):
    """y = skip(x) + attention(LN(x)), then y + feed_forward(LN(y)), both scaled and now and then skipped.

    With a stride of 2, x is max-pooled and the convolutions before the attention stand on every second token.
    """

    def __init__(
        self,
        *,
        dim: int,
        num_heads: int,
        ffn_dim: int,
        window: int,
        stride: int,
        layer_scale: float,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = ConvolvedAttention(dim, num_heads, window, stride)
        self.attention_branch = SkippedBranch(dim, layer_scale, drop_path)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.feed_forward = gelu_feed_forward(dim, ffn_dim, dropout=0.0)
        self.feed_forward_branch = SkippedBranch(dim, layer_scale, drop_path)

    def forward(self, level: Level) -> Level:
        """`level` is zero in padding; so is the level of ceil(T / stride) tokens that comes of it."""
        normed = Level(self.attention_norm(level.features), level.padding_mask).zeroed()
        if self.stride == 2:
            level = max_pool(level)
        x = level.features + self.attention_branch(self.attention(normed, level.padding_mask))
        x = x + self.feed_forward_branch(self.feed_forward(self.feed_forward_norm(x)))
        return Level(x, level.padding_mask).zeroed()


class ConvolvedAttention(nn.Module):
    """Local self-attention whose queries, keys and values are each convolved over three tokens, channel by channel."""

    def __init__(self, dim: int, num_heads: int, window: int, stride: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.query_convolution, self.key_convolution, self.value_convolution = (
            nn.Conv1d(dim, dim, kernel_size=3, stride=stride, padding=1, groups=dim, bias=False)
            for _ in range(3)
        )
        self.query_norm, self.key_norm, self.value_norm = (nn.LayerNorm(dim) for _ in range(3))
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        for projection in (self.query, self.key, self.value, self.output):
            nn.init.zeros_(projection.bias)

    def forward(self, level: Level, padding_mask: Tensor) -> Tensor:
        """`level` is zero in padding; `padding_mask` is that of its tokens which attend. `[B, ceil(T / stride), dim]`.

        What it holds in padding means nothing.
        """
        query, key, value = (
            projection(norm(convolution(level.features.mT).mT))
            .unflatten(-1, (self.num_heads, -1))
            .transpose(1, 2)
            for convolution, norm, projection in (
                (self.query_convolution, self.query_norm, self.query),
                (self.key_convolution, self.key_norm, self.key),
                (self.value_convolution, self.value_norm, self.value),
            )
        )
        attended = local_attention(query, key, value, padding_mask, self.window)
        return self.output(attended.transpose(1, 2).flatten(2))


class MaxPooling(nn.Module):
    """TemporalMaxer's block: the maximum of each second token and its two neighbours, and no parameter."""

    def forward(self, level: Level) -> Level:
        return max_pool(level)
