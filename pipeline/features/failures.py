"""What a store's writer lost, as one row a video in `<store>/failures/`."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from pipeline import parquet, storage
from pipeline.failures import Failure, FailureKind, read_failures, replace_failures
from pipeline.features.index import StoreIndex
from pipeline.features.store import FeatureStore
from pipeline.features.video_features import VideoFeatures


def record_failures(store: FeatureStore, videos: StoreIndex, stage: str) -> None:
    """`failures/<stage>.parquet`: a row for each video that has lost chunks; made anew from the index by each run.

    A video whose file could not even be probed has its row already.
    """
    url = storage.join(store.folder("failures"), f"{stage}.parquet")
    others = (other for other in parquet.list_parquet(store.folder("failures")) if other != url)
    told = {video_id for other in others for video_id in parquet.read_table(other)["video_id"].to_pylist()}
    incomplete = map(videos.at, np.flatnonzero(~videos.complete).tolist())
    lost = [failure_of(video, stage) for video in incomplete if video.video_id not in told]
    replace_failures(url, lost)


def lost_videos(store: FeatureStore, video_ids: Collection[str]) -> list[Failure]:
    """Why each of these videos, which the store lacks or has in part, is lost, in their order."""
    told = {failure.video_id: failure for failure in read_failures(store.folder("failures"))}
    lost = []
    for video_id in video_ids:
        if failure := told.get(video_id):
            lost.append(failure)
        elif video := store.index().get(video_id):
            lost.append(failure_of(video, "extract"))
    return lost


def failure_of(video: VideoFeatures, stage: str) -> Failure:
    """Why a video is incomplete; a chunk without any row can only come from outside interference with the store."""
    if video.failure is not None:
        return replace(video.failure, stage=stage)
    message = "chunks are missing; run the command again"
    return Failure(video.video_id, video.uri, stage, FailureKind.MISSING_FEATURES, message)
