"""Extraction in this process, for whom Ray would be too much: a video at hand."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import torch

from pipeline import parquet, storage
from pipeline.failures import failures_table
from pipeline.features.amounts import seconds_in
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.extraction.embed import ChunkEmbedder
from pipeline.features.extraction.flow_stage import flow_stage
from pipeline.features.extraction.planning import probe_videos
from pipeline.features.extraction.settings import StagesConfig
from pipeline.features.extraction.stages import (
    chunk_decoder,
    decoding_limits,
    sampled_offsets,
)
from pipeline.features.plan import write_part
from pipeline.features.schema import PLAN_SCHEMA
from pipeline.features.sources import VideoSource
from pipeline.features.spec import FeatureSpec
from pipeline.features.store import FeatureStore


@dataclass(frozen=True)
class LocalExtractor:
    """Holds the networks of an extraction, which writes stores as every other does.

    Attributes:
        config: how videos become features.
        inputs: what the backbone wants of a video.
        spec: of the features.
        embed: the backbone stage.
        flow: the flow stage, where the backbone sees flow.
    """

    config: StagesConfig
    inputs: Inputs
    spec: FeatureSpec
    embed: ChunkEmbedder
    flow: Callable[[pa.Table], pa.Table] | None

    @classmethod
    def load(cls, config: StagesConfig, spec: FeatureSpec, inputs: Inputs) -> "LocalExtractor":
        """Load the networks. Raises InputError where they are not those of `spec`."""
        embed = ChunkEmbedder(config.backbone, spec, torch.get_num_threads())
        flow = flow_stage(config.flow, spec, sampled_offsets(config), inputs) if inputs.flow else None
        return cls(config, inputs, spec, embed, flow)

    def extract(
        self, url: str, source: VideoSource, went_on: Callable[[float, float], None] | None = None
    ) -> FeatureStore:
        """A new store at `url` with one video, complete or with its failure.

        Args:
            url: a folder where nothing is.
            source: the video.
            went_on: is told, after each chunk, the seconds of video that are done and those of the whole.
        """
        store = FeatureStore.create(url, self.spec)
        rows, failures = probe_videos(
            [source], self.config.timeline.build(), self.config.chunk_frames, decoding_limits(self.config)
        )
        plan = pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)
        write_part(store, [plan], [failures_table(failures)])
        if plan.num_rows:
            features, done = [], 0.0
            for frames in chunk_decoder(self.config, self.inputs)(plan):
                features.append(self.embed(self.flow(frames) if self.flow else frames))
                done += seconds_in(features[-1])
                if went_on:
                    went_on(done, plan["duration"][0].as_py())
            parquet.write_table(
                storage.join(store.folder("features"), "0.parquet"), pa.concat_tables(features)
            )
        return FeatureStore(url)
