"""The backbone stage: rows with frames in, rows with snippet features out."""

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from pipeline.config import BackboneConfig
from pipeline.errors import InputError
from pipeline.failures import FailureKind
from pipeline.features.backbones import BatchedEncoder, frame_offsets, load_backbone
from pipeline.features.decode import large_binary_row, sample_frames
from pipeline.features.schema import FEATURES_SCHEMA, PLAN_SCHEMA
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import join_error


class ChunkEmbedder:
    """An actor that holds one backbone."""

    def __init__(self, config: BackboneConfig, spec: FeatureSpec, threads: int) -> None:
        """Load the backbone; raises InputError where this node's weights are not those of `spec`."""
        torch.set_num_threads(threads)
        backbone = load_backbone(config)
        if backbone.weights != spec.weights:
            raise InputError(
                f"backbone.weights={config.weights}: this node's weights have digest {backbone.weights}, "
                f"the store's {spec.weights}; give every node the same weights"
            )
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.encoder = BatchedEncoder(backbone.encoder, config.batch_size, device, config.precision == "bf16")
        self.size = backbone.size
        self.spec = spec
        self.offsets = frame_offsets(spec.timeline.window, config.frames_per_snippet)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Table of `FEATURES_SCHEMA`, one row for each row of `FRAMES_SCHEMA`, in order."""
        rows = batch.drop_columns(["frames"]).to_pylist()
        decoded = [position for position, row in enumerate(rows) if row["error"] is None]
        runs = [self._frames(batch["frames"][position]) for position in decoded]
        embeddings = dict(zip(decoded, self.encoder(runs), strict=True))
        return pa.concat_tables(
            [self._features_row(row, embeddings.get(position)) for position, row in enumerate(rows)]
        )

    def _frames(self, cell: pa.LargeBinaryScalar) -> np.ndarray:
        return np.frombuffer(cell.as_buffer(), dtype=np.uint8).reshape(-1, self.size.crop, self.size.crop, 3)

    def _features_row(self, row: dict[str, Any], embeddings: np.ndarray | None) -> pa.Table:
        features, error = None, row["error"]
        if embeddings is not None:
            features = self._snippets(row, embeddings)
            if not np.isfinite(features).all():
                features, error = (
                    None,
                    join_error(FailureKind.BACKBONE_ERROR, "features are not finite in float16"),
                )
        columns = [pa.array([row[field.name]], type=field.type) for field in PLAN_SCHEMA]
        return pa.Table.from_arrays(
            [
                *columns,
                pa.array([self.spec.dim], type=pa.int32()),
                large_binary_row(features),
                pa.array([error], type=pa.string()),
            ],
            schema=FEATURES_SCHEMA,
        )

    def _snippets(self, row: dict[str, Any], embeddings: np.ndarray) -> np.ndarray:
        """`[num_snippets, dim]` float16: the mean over each snippet's sampled frames."""
        timeline = self.spec.timeline.resolve(row["fps"])
        sampled = sample_frames(
            timeline,
            self.offsets,
            row["first_snippet"],
            row["num_snippets"],
            row["duration"],
        )
        with np.errstate(over="ignore"):
            return embeddings[sampled.members].mean(axis=1, dtype=np.float32).astype(np.float16)
