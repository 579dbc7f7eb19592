"""One decoder layer of one branch: its queries look at each other, then at their features (DualDETR 3.5)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.dualdetr.config import DualDETRConfig
from models.dualdetr.queries import Contents, Positions, Stream
from models.levels import Tokens
from models.pooling import segment_means
from models.transformer import DeformableRead, FeedForward, SelfAttention


class BranchLayer(nn.Module):
    """Self-attention among the streams of a branch, then deformable cross-attention and a feed-forward block.

    With two branches each stream reads with weights of its own, otherwise all with the same.
    """

    def __init__(self, streams: Sequence[Stream], config: DualDETRConfig) -> None:
        super().__init__()
        self.names = [stream.name for stream in streams]
        width = streams[0].width
        how = config.boundary_attention if len(streams) > 1 else "separate"
        attention = {"joint": JointAttention, "pairs": PairAttention, "separate": SeparateAttention}[how]
        attended = width * len(streams) if how == "pairs" else width
        self.attention = attention(len(streams), width, config.heads(attended), config.decoder_dropout)
        num_readers = len(streams) if config.decoding == "two_branch" else 1
        self.readers = nn.ModuleList(Reader(width, config) for _ in range(num_readers))

    def forward(
        self,
        contents: Contents,
        embeddings: Mapping[str, Tensor],
        positions: Positions,
        memory: Mapping[str, Tokens],
        ignored: Tensor,
    ) -> Contents:
        """One round of decoding.

        Args:
            contents: of this branch's streams at least, each `[B, Q, width]`.
            embeddings: the queries' positions as vectors, of the same shapes.
            positions: the same as references.
            memory: the features that each stream reads.
            ignored: `[B, Q]`, True for queries that no other may look at.
        Returns:
            The new contents of this branch's streams.
        """
        names = self.names
        attended = self.attention([contents[n] for n in names], [embeddings[n] for n in names], ignored)
        readers = list(self.readers) * (len(names) // len(self.readers))
        return {
            name: reader(content, embeddings[name], positions.of(name), memory[name], positions.around(name))
            for name, content, reader in zip(names, attended, readers, strict=True)
        }


class Reader(nn.Module):
    """A query reads around its references, and over its segment if it pools, then a feed-forward block."""

    def __init__(self, width: int, config: DualDETRConfig) -> None:
        super().__init__()
        token_dim = config.dim if config.branch_memory == "all" else width
        self.read = DeformableRead(
            width,
            config.heads(width),
            config.num_levels,
            config.num_points,
            config.decoder_dropout,
            token_dim,
        )
        self.pool = PooledRead(width, token_dim, config.decoder_dropout) if config.segment_pooling else None
        self.feed_forward = FeedForward(width, config.ffn_ratio * width, config.decoder_dropout)

    def forward(
        self,
        content: Tensor,
        embedding: Tensor,
        reference: Tensor,
        memory: Tokens,
        around: tuple[Tensor, Tensor],
    ) -> Tensor:
        content = self.read(content, embedding, reference, memory)
        if self.pool is not None:
            content = self.pool(content, memory, around)
        return self.feed_forward(content)


class PooledRead(nn.Module):
    """Queries read the means of the features over two segments, a post-norm block.

    Deformable attention looks at a few points; what is told by all of a segment, with noise, is told by its mean.
    """

    def __init__(self, width: int, token_dim: int, dropout: float) -> None:
        super().__init__()
        self.join = nn.Linear(2 * token_dim, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, content: Tensor, memory: Tokens, around: tuple[Tensor, Tensor]) -> Tensor:
        """`content [B, Q, width]`; `around` two segments of each query, `[B, Q, 2]` (start, end)."""
        means = torch.cat([segment_means(memory, segments) for segments in around], dim=-1)
        return self.norm(content + self.dropout(self.join(means)))


class JointAttention(nn.Module):
    """All queries of all streams look at each other; a learned vector tells the kinds apart."""

    def __init__(self, num_streams: int, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.kind = nn.Parameter(torch.randn(num_streams, width))
        self.attention = SelfAttention(width, num_heads, dropout)

    def forward(self, contents: list[Tensor], embeddings: list[Tensor], ignored: Tensor) -> Sequence[Tensor]:
        """Streams of `[B, Q, width]`; `ignored [B, Q]`."""
        number = len(contents)
        told = [embedding + kind for embedding, kind in zip(embeddings, self.kind, strict=True)]
        attended = self.attention(torch.cat(contents, 1), torch.cat(told, 1), ignored.repeat(1, number))
        return attended.chunk(number, dim=1)


class PairAttention(nn.Module):
    """Aligned queries of all streams, side by side in one vector, look at the other such vectors."""

    def __init__(self, num_streams: int, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(num_streams * width, num_heads, dropout)

    def forward(self, contents: list[Tensor], embeddings: list[Tensor], ignored: Tensor) -> Sequence[Tensor]:
        """Streams of `[B, Q, width]`; `ignored [B, Q]`."""
        attended = self.attention(torch.cat(contents, -1), torch.cat(embeddings, -1), ignored)
        return attended.chunk(len(contents), dim=-1)


class SeparateAttention(nn.Module):
    """The queries of each stream look at those of the same stream."""

    def __init__(self, num_streams: int, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(SelfAttention(width, num_heads, dropout) for _ in range(num_streams))

    def forward(self, contents: list[Tensor], embeddings: list[Tensor], ignored: Tensor) -> Sequence[Tensor]:
        """Streams of `[B, Q, width]`; `ignored [B, Q]`."""
        return [
            attention(content, embedding, ignored)
            for attention, content, embedding in zip(self.attentions, contents, embeddings, strict=True)
        ]
