"""The stages of an extraction as its settings make them: for the Ray graph, and for a dry run that times them."""

import ray

from pipeline.features.backbones import feature_spec, frame_offsets, load_backbone
from pipeline.features.backbones.backbone import Inputs
from pipeline.features.extraction.decode import ChunkDecoder
from pipeline.features.extraction.settings import StagesConfig
from pipeline.features.extraction.signed import SignedUris
from pipeline.features.flow import flow_description
from pipeline.features.settings import BackboneConfig
from pipeline.features.spec import FeatureSpec
from pipeline.video.sandbox import Limits


def describe(config: StagesConfig) -> tuple[FeatureSpec, Inputs]:
    """What the features will be, and what the network wants of a video.

    Raises InputError where the network, or what computes its flow, cannot be loaded.
    """
    backbone = load_backbone(config.backbone)
    flow = flow_description(config.flow, backbone.inputs) if backbone.inputs.flow else None
    return feature_spec(config.backbone, backbone, config.timeline.build(), flow), backbone.inputs


def describe_remotely(config: StagesConfig) -> tuple[FeatureSpec, Inputs]:
    """`describe` in a task, because a cluster's head may be too small for the weights."""
    embed = config.embed
    task = _described.options(resources=embed.resources, label_selector=embed.labels)
    return ray.get(task.remote(config))


@ray.remote(num_cpus=1)
def _described(config: StagesConfig) -> tuple[FeatureSpec, Inputs]:
    return describe(config)


def decoding_limits(config: StagesConfig) -> Limits:
    """What the command allows a chunk, or a probe, to cost."""
    return Limits(config.decode.timeout_s, config.decode.memory_mb * 2**20)


def sampled_offsets(config: StagesConfig) -> tuple[int, ...]:
    """The frames of a window that the backbone looks at."""
    return frame_offsets(config.timeline.window, config.backbone.frames_per_snippet)


def chunk_decoder(config: StagesConfig, inputs: Inputs, signed: SignedUris | None = None) -> ChunkDecoder:
    """The decoding stage; `signed` are the command's URLs where stores hold less than the whole."""
    return ChunkDecoder(
        config.timeline.build(),
        sampled_offsets(config),
        inputs.decoded,
        successors=inputs.flow,
        limits=decoding_limits(config),
        keep_truncated=config.decode.truncated == "keep",
        signed=signed,
    )


def embedder_arguments(config: StagesConfig, spec: FeatureSpec) -> tuple[BackboneConfig, FeatureSpec, int]:
    """What the backbone stage, a `ChunkEmbedder`, is made of."""
    return config.backbone, spec, config.embed.threads or max(1, int(config.embed.cpus))
