"""The flow stage: rows with frames in, the same rows with the flow that leads on from each frame out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import torch
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.failures import FailureKind, join_error
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.cells import chunk_row, large_binary_row, read_array
from pipeline.features.extraction.decode import FRAMES_SCHEMA
from pipeline.features.extraction.sampling import sample_chunk
from pipeline.features.flow.raft import RAFTFlow
from pipeline.features.flow.scaling import flow_dtype
from pipeline.features.flow.tvl1 import TVL1Flow
from pipeline.features.settings import FlowConfig
from pipeline.features.spec import FeatureSpec

# `frames` is cropped for the backbone, or null where it sees flow alone. `flow` is [F, crop, crop, 2], one field for
# each frame as `scale_flow` makes it, in `flow_dtype`; the fields of frames that no snippet looks at are zeros.
FLOW_SCHEMA = pa.schema([*FRAMES_SCHEMA, pa.field("flow", pa.large_binary())])


@dataclass(frozen=True)
class FlowStage:
    """Adds flow to rows of frames.

    Attributes:
        estimate: frames `[F, S, S, 3]` uint8 and pairs `[P, 2]` of them to fields `[P, crop, crop, 2]`, scaled by
            `scale_flow`.
        rounding: whether these are whole numbers, which travel as uint8.
        spec: of the features.
        offsets: frames of a window that the backbone looks at.
        inputs: what the backbone wants.
    """

    estimate: Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.float16]]
    rounding: bool
    spec: FeatureSpec
    offsets: tuple[int, ...]
    inputs: Inputs

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Table of `FLOW_SCHEMA`, one row for each row of `FRAMES_SCHEMA`, in order.

        A row whose flow is not finite has `error`.
        """
        rows = batch.drop_columns(["frames"]).to_pylist()
        return pa.concat_tables([self._row(row, batch["frames"][i]) for i, row in enumerate(rows)])

    def _row(self, row: dict[str, Any], cell: pa.LargeBinaryScalar) -> pa.Table:
        frames, flow, error = None, None, row["error"]
        if error is None:
            whole = read_array(cell, self.inputs.decoded.crop, 3)
            flow = self._fields(row, whole)
            if flow is None:
                error = join_error(FailureKind.BACKBONE_ERROR, "optical flow is not finite")
            elif self.inputs.rgb:
                side = self.inputs.size.crop
                edge = (whole.shape[1] - side) // 2
                frames = whole[:, edge : edge + side, edge : edge + side]
        return chunk_row(
            FLOW_SCHEMA, row, frames=large_binary_row(frames), flow=large_binary_row(flow), error=error
        )

    def _fields(self, row: dict[str, Any], frames: NDArray[np.uint8]) -> NDArray[Any] | None:
        """The field of each frame, or None where one is not finite."""
        sampled = sample_chunk(self.spec.timeline, self.offsets, row, successors=True)
        first = np.unique(sampled.members)
        # The frame after a frame stands right after it, except that the video's last frame is followed by itself.
        second = np.where(sampled.indices[first] < sampled.last, first + 1, first)
        computed = self.estimate(frames, np.stack([first, second], axis=1))
        if not np.isfinite(computed).all():
            return None
        fields = np.zeros((len(frames), *computed.shape[1:]), flow_dtype(self.rounding))
        fields[first] = computed
        return fields


class FlowActor:
    """An actor that holds a RAFT network."""

    def __init__(
        self, config: FlowConfig, spec: FeatureSpec, offsets: tuple[int, ...], inputs: Inputs
    ) -> None:
        torch.set_num_threads(max(1, int(config.cpus)))
        self.stage = flow_stage(config, spec, offsets, inputs)

    def __call__(self, batch: pa.Table) -> pa.Table:
        return self.stage(batch)


def flow_stage(config: FlowConfig, spec: FeatureSpec, offsets: tuple[int, ...], inputs: Inputs) -> FlowStage:
    """The stage in this process; raises InputError where this node's weights of RAFT are not those of `spec`."""
    if config.algorithm == "tvl1":
        return FlowStage(TVL1Flow(inputs.size.crop, config.rounding), config.rounding, spec, offsets, inputs)
    estimate = RAFTFlow(config, inputs.size.crop)
    stated = spec.preprocessing["flow"]["weights"]
    if estimate.weights != stated:
        raise InputError(
            f"flow.weights={config.weights}: this node's weights have digest {estimate.weights}, "
            f"the store's {stated}; give every node the same weights"
        )
    return FlowStage(estimate, config.rounding, spec, offsets, inputs)


def add_flow(
    frames: ray.data.Dataset,
    config: FlowConfig,
    spec: FeatureSpec,
    offsets: tuple[int, ...],
    inputs: Inputs,
) -> ray.data.Dataset:
    """The dataset with its flow: TV-L1 by tasks wherever CPUs are free, RAFT by a pool of actors."""
    options: dict[str, Any] = {
        "batch_size": 1,
        "batch_format": "pyarrow",
        "num_cpus": config.cpus,
        "resources": config.resources,
        "label_selector": config.labels,
    }
    if config.algorithm == "tvl1":
        return frames.map_batches(flow_stage(config, spec, offsets, inputs), **options)
    return frames.map_batches(
        FlowActor,
        fn_constructor_args=(config, spec, offsets, inputs),
        compute=ray.data.ActorPoolStrategy(min_size=config.min_actors, max_size=config.max_actors),
        num_gpus=config.gpus,
        **options,
    )
