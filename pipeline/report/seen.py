"""What a TP²-DETR run's salience heads see of videos, computed from a feature store."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from pipeline.annotations.canonical import Annotations
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.salience import video_salience
from pipeline.detector.trained import check_features, find_checkpoint, load_trained
from pipeline.errors import InputError
from pipeline.features.store import FeatureStore
from pipeline.report.salience import SaliencePanel
from pipeline.report.shown import of_videos

# What proposals a picture can hold, of each video.
_MOST_PROPOSALS = 20
_CACHE_MB = 256.0


def salience_panels(
    run: str, store_url: str, video_ids: Sequence[str], segments: pa.Table, videos: Annotations
) -> list[SaliencePanel]:
    """A panel for each video: what the heads of `run` see, its best predictions and what is true of it.

    Args:
        run, store_url: URLs of the run and of the features that it looks at.
        video_ids: of the panels, in this order.
        segments: predictions, table of `SEGMENTS_SCHEMA`.
        videos: the videos with what is true of them.
    Raises:
        InputError: the run has no salience heads, or the store other features or none of a video.
    """
    info = find_checkpoint(run, None)
    store = FeatureStore(store_url)
    check_features(info, store.spec, store_url, insist=False)
    trained = load_trained(info.url, torch.device("cpu"))
    cache = FeatureCache(store, _CACHE_MB)
    panels = []
    instances = videos.by_video()
    for video_id in video_ids:
        video = store.index().get(video_id)
        if video is None or not video.complete:
            raise InputError(f"store={store_url}: has no complete features of {video_id}")
        salience = video_salience(trained.detector, video, cache, trained.config.windows)
        if salience is None:
            raise InputError(
                f"run={run}: its detector has no salience heads; they are TP²-DETR's, with model.salience_on"
            )
        best = of_videos(segments, [video_id]).sort_by([("score", "descending")]).slice(0, _MOST_PROPOSALS)
        panels.append(
            SaliencePanel(
                title=video_id,
                times=salience.times,
                probabilities=salience.probabilities,
                proposals=np.stack([best["t_start"].to_numpy(), best["t_end"].to_numpy()], axis=1),
                scores=best["score"].to_numpy(),
                truth=instances[video_id].segments,
            )
        )
    return panels
