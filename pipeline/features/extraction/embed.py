"""The backbone stage: rows with frames in, rows with snippet features out."""

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from pipeline.cluster.device import given_device
from pipeline.cluster.tally import Tally
from pipeline.errors import InputError
from pipeline.failures import FailureKind, join_error
from pipeline.features.amounts import errors_in, seconds_in, videos_in
from pipeline.features.backbones import frame_offsets, load_backbone
from pipeline.features.backbones.backbone import Backbone
from pipeline.features.batches import FixedBatches
from pipeline.features.cells import chunk_row, large_binary_row, read_array
from pipeline.features.extraction.sampling import sample_chunk
from pipeline.features.flow.scaling import flow_dtype
from pipeline.features.schema import CHUNK_SCHEMA, FEATURES_SCHEMA
from pipeline.features.settings import BackboneConfig
from pipeline.features.spec import FeatureSpec


class ChunkEmbedder:
    """An actor that holds one backbone."""

    def __init__(
        self, config: BackboneConfig, spec: FeatureSpec, threads: int, tally: Tally | None = None
    ) -> None:
        """Load the backbone; `tally` gets what is done.

        Raises InputError where this node's weights are not those of `spec`.
        """
        torch.set_num_threads(threads)
        backbone = load_backbone(config)
        if backbone.weights != spec.weights:
            raise InputError(
                f"backbone.weights={config.weights}: this node's weights have digest {backbone.weights}, "
                f"the store's {spec.weights}; give every node the same weights"
            )
        self.encode = SnippetEncoder(config, backbone, given_device())
        self.inputs = backbone.inputs
        self.spec = spec
        self.tally = tally
        self.offsets = frame_offsets(spec.timeline.window, config.frames_per_snippet)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Table of `FEATURES_SCHEMA`, one row for each row of `FRAMES_SCHEMA` or `FLOW_SCHEMA`, in order."""
        rows = batch.select([*CHUNK_SCHEMA.names, "error"]).to_pylist()
        decoded = [position for position, row in enumerate(rows) if row["error"] is None]
        side, streams = self.inputs.size.crop, []
        if self.inputs.rgb:
            streams.append([read_array(batch["frames"][position], side, 3) for position in decoded])
        if self.inputs.flow:
            dtype = flow_dtype(self.spec.preprocessing["flow"]["rounding"])
            streams.append([read_array(batch["flow"][position], side, 2, dtype) for position in decoded])
        members = [
            sample_chunk(self.spec.timeline, self.offsets, rows[position], self.inputs.flow).members
            for position in decoded
        ]
        snippets = dict(zip(decoded, self.encode(streams, members), strict=True))
        features = pa.concat_tables(
            [self._features_row(row, snippets.get(position)) for position, row in enumerate(rows)]
        )
        if self.tally:
            self.tally.add(videos_in(features), seconds_in(features), errors_in(features))
        return features

    def _features_row(self, row: dict[str, Any], snippets: NDArray[np.float32] | None) -> pa.Table:
        features, error = None, row["error"]
        if snippets is not None:
            with np.errstate(over="ignore"):
                features = snippets.astype(np.float16)
            if not np.isfinite(features).all():
                features, error = (
                    None,
                    join_error(FailureKind.BACKBONE_ERROR, "features are not finite in float16"),
                )
        return chunk_row(
            FEATURES_SCHEMA, row, dim=self.spec.dim, features=large_binary_row(features), error=error
        )


class SnippetEncoder:
    """From the frames of chunks to their snippets' vectors, with an image or a video network."""

    def __init__(self, config: BackboneConfig, backbone: Backbone, device: torch.device) -> None:
        self.sees_clips = backbone.sees_clips
        self.batches = FixedBatches(
            backbone.encoder,
            config.batch_size,
            device,
            bf16=config.precision == "bf16",
            compiled=config.compile,
        )

    def __call__(
        self, streams: list[list[NDArray]], members: list[NDArray[np.int64]]
    ) -> list[NDArray[np.float32]]:
        """`[num_snippets, dim]` of each chunk.

        Args:
            streams: pictures `[F, S, S, 3]` uint8, flow `[F, S, S, 2]` (uint8, or float16 in [-1, 1]), or both in
                this order; each a list over chunks.
            members: `[num_snippets, T]` of each chunk: the frames that a snippet looks at.
        """
        if self.sees_clips:
            return self.batches(streams, members)
        looked_at = [np.unique(run, return_inverse=True) for run in members]
        embeddings = self.batches(streams, [frames for frames, _ in looked_at])
        return [
            vectors[inverse.reshape(run.shape)].mean(axis=1, dtype=np.float32)
            for vectors, (_, inverse), run in zip(embeddings, looked_at, members, strict=True)
        ]
