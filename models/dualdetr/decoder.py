"""The decoder: in every layer each branch decodes on its own, and then the two refine each other."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.detection import SetPrediction
from models.dualdetr.branch import BranchLayer
from models.dualdetr.config import DualDETRConfig
from models.dualdetr.queries import Contents, Positions, Queries, branches_of, streams_of
from models.dualdetr.refinement import ContentRefinement, refine
from models.heads import ClassLogits, Correction
from models.levels import Tokens
from models.positions import sine_embedding
from models.segments import inverse_sigmoid
from models.transformer import MLP

# As in DINO. Corrections could hardly move a boundary query away from a window's end where it stands at 1e-5.
_NEAREST_TO_THE_ENDS = 1e-3


class Decoder(nn.Module):
    """Layers of decoding; what one layer found, detached, is where the next one looks."""

    def __init__(self, config: DualDETRConfig, num_classes: int) -> None:
        super().__init__()
        self.streams = streams_of(config)
        self.reads_all = config.branch_memory == "all"
        self.look_forward_twice = config.look_forward_twice
        self.embedding = PositionEmbedding(config)
        last = config.decoder_layers - 1
        self.layers = nn.ModuleList(
            DecoderLayer(
                config, num_classes, hands_on_refined=config.refine_at == "every_layer" or index == last
            )
            for index in range(config.decoder_layers)
        )

    def forward(self, queries: Queries, memory: Tokens) -> tuple[SetPrediction, ...]:
        """One prediction a layer. `memory` is partitioned along its channels for the streams, unless they read all."""
        read = {
            stream.name: memory
            if self.reads_all
            else replace(memory, features=stream.channels(memory.features))
            for stream in self.streams
        }
        predictions = []
        found = queries.positions
        for layer in self.layers:
            embeddings = self.embedding(queries.positions)
            before = found if self.look_forward_twice else queries.positions
            contents, found, segments, logits = layer(queries, before, embeddings, read)
            predictions.append(SetPrediction(segments, logits, queries.valid))
            queries = replace(queries, contents=contents, positions=found.detach())
        return tuple(predictions)


class DecoderLayer(nn.Module):
    """Each branch's round of decoding, the correction of each stream's positions, mutual refinement, classes.

    Args:
        hands_on_refined: whether the branches go on from what they have agreed on, or each from its own. What
            the layer predicts is refined either way, so that both branches learn from it.
    """

    def __init__(self, config: DualDETRConfig, num_classes: int, hands_on_refined: bool) -> None:
        super().__init__()
        streams = streams_of(config)
        self.order = config.refinement
        self.hands_on_refined = hands_on_refined
        self.branches = nn.ModuleList(BranchLayer(branch, config) for branch in branches_of(config))
        self.corrections = nn.ModuleDict(
            {
                stream.name: Correction(stream.width, 2 if stream.name == "instance" else 1)
                for stream in streams
            }
        )
        self.content_refinement = (
            ContentRefinement(streams, config.ffn_ratio, config.decoder_dropout)
            if config.refine_contents and hands_on_refined
            else nn.Identity()
        )
        names = [stream.name for stream in streams]
        # The boundary level alone has nothing else to tell classes from.
        one = "instance" in names and config.classes_from == "instance"
        self.class_streams = ["instance"] if one else names
        width = sum(stream.width for stream in streams if stream.name in self.class_streams)
        self.classes = ClassLogits(width, num_classes, config.class_prior)

    def forward(
        self,
        queries: Queries,
        before: Positions,
        embeddings: Mapping[str, Tensor],
        memory: Mapping[str, Tokens],
    ) -> tuple[Contents, Positions, Tensor, Tensor]:
        """Decode.

        Args:
            queries: what decodes, from where it stands.
            before: the same positions, which the predicted segments teach as far as they have a gradient.
            embeddings: of the positions, for each stream `[B, Q, width]`.
            memory: the features that each stream reads.
        Returns:
            The new contents; the new positions; the predicted segments `[B, Q, 2]`, which may stick out of
            the window as the positions do not; the class logits `[B, Q, K]`.
        """
        contents: Contents = {}
        for branch in self.branches:
            contents |= branch(queries.contents, embeddings, queries.positions, memory, ~queries.valid)
        corrections = {name: correction(contents[name]) for name, correction in self.corrections.items()}
        found = _moved(queries.positions, corrections)
        refined, segments = refine(found, self.order)
        if before is not queries.positions:
            _, segments = refine(_moved(before, corrections), self.order)
        contents = self.content_refinement(contents)
        logits = self.classes(torch.cat([contents[name] for name in self.class_streams], dim=-1))
        return contents, refined.inside() if self.hands_on_refined else found, segments, logits


def _moved(positions: Positions, corrections: Mapping[str, Tensor]) -> Positions:
    """Each stream's places, corrected through the inverse sigmoid."""
    return Positions.of_streams(
        {
            name: (inverse_sigmoid(positions.of(name), eps=_NEAREST_TO_THE_ENDS) + correction).sigmoid()
            for name, correction in corrections.items()
        }
    )


class PositionEmbedding(nn.Module):
    """Positions as vectors of their streams' widths: sine embeddings, then a small network (as in DAB-DETR).

    Start and end share a network. It is the same in every layer; the positions are not.
    """

    def __init__(self, config: DualDETRConfig) -> None:
        super().__init__()
        self.widths = {stream.name: stream.width for stream in streams_of(config)}
        self.networks = nn.ModuleDict(
            {_level(name): MLP(width, width, width, num_layers=2) for name, width in self.widths.items()}
        )

    def forward(self, positions: Positions) -> dict[str, Tensor]:
        """For each stream `[B, Q, width]`."""
        embeddings: dict[str, Tensor] = {}
        for name, width in self.widths.items():
            places = positions.of(name)
            sines = sine_embedding(places, width // places.shape[-1]).flatten(-2)
            embeddings[name] = self.networks[_level(name)](sines)
        return embeddings


def _level(stream: str) -> str:
    return "instance" if stream == "instance" else "boundary"
