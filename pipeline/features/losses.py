"""What a store's writer lost, as one row a video in `<store>/failures/`."""

from collections.abc import Mapping
from dataclasses import replace

from pipeline import parquet, storage
from pipeline.failures import Failure, FailureKind, failures_table
from pipeline.features.store import FeatureStore, VideoFeatures


def record_losses(store: FeatureStore, videos: Mapping[str, VideoFeatures], stage: str) -> None:
    """`failures/<stage>.parquet`: a row for each video that has lost chunks; made anew from the index by each run."""
    lost = [_failure_of(video, stage) for video in videos.values() if not video.complete]
    url = storage.join(store.folder("failures"), f"{stage}.parquet")
    if not lost:
        storage.remove(url)
        return
    parquet.write_table(url, failures_table(lost))


def _failure_of(video: VideoFeatures, stage: str) -> Failure:
    """Why a video is incomplete; a chunk without any row can only come from outside interference with the store."""
    if video.failure is not None:
        return replace(video.failure, stage=stage)
    message = "chunks are missing; run the command again"
    return Failure(video.video_id, video.uri, stage, FailureKind.MISSING_FEATURES, message)
