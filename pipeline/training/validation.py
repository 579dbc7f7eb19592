"""det-mAP of a detector in training, by the same windows, merging, truth and metric as `predict` and `evaluate`."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.annotations.canonical import Annotations
from pipeline.detector.detect import detect_videos
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.evaluation.class_agnostic import comparable
from pipeline.evaluation.detection_map import DetectionMAP, detection_map
from pipeline.evaluation.protocols import PROTOCOLS, protocol_name
from pipeline.features.video_features import VideoFeatures
from pipeline.segments.tables import segments_table
from pipeline.training.settings import TrainConfig
from pipeline.training.workers import Workers


@dataclass(frozen=True)
class ValidationSet:
    """What to validate on.

    Attributes:
        videos: those of the subset, or of the held-out training videos, that the store has.
        truth: of all of them, raw and with its classes; what the store lacks counts as not found.
        labels: the names of the detector's classes.
    """

    videos: Sequence[VideoFeatures]
    truth: Annotations
    labels: tuple[str, ...]


def validate(
    detector: NormalisedDetector,
    subject: ValidationSet,
    cache: FeatureCache,
    workers: Workers,
    config: TrainConfig,
) -> DetectionMAP:
    """Score the detector; every worker must take part, and all get the result.

    Each worker takes a share of the videos: validation on one alone would leave the others idle for as long.
    """
    was_training = detector.training
    detector.eval()
    found = detect_videos(
        detector,
        subject.videos[workers.rank :: workers.size],
        cache,
        windows=config.windows,
        merge=config.merge,
        batch_size=config.optimiser.batch_size,
        device=workers.device,
    )
    mine = segments_table(((video.video_id, merged) for video, merged in found), subject.labels)
    detector.train(was_training)
    shares = [_from_bytes(content) for content in workers.gather(_to_bytes(mine))]
    # The metric breaks ties in score by row order, which must not depend on who took which video.
    found_by_all = pa.concat_tables(shares).sort_by("video_id")
    scored, truth = comparable(found_by_all, subject.truth)
    return detection_map(scored, truth, PROTOCOLS[protocol_name(config.dataset.name)].detection)


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _from_bytes(content: bytes) -> pa.Table:
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()
