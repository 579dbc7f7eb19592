"""Videos through a detector: their windows in batches, those of each video apart, and merged again."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice

import torch
from torch import Tensor

from models.detection import Detections, decode, is_finite
from pipeline.detector.batches import map_ahead, pad_windows
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.merging import merge_windows
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.detector.settings import MergeConfig, WindowConfig
from pipeline.detector.windows import Window, video_windows
from pipeline.features.video_features import VideoFeatures
from pipeline.segments.detections import VideoDetections


def detect_videos(
    detector: NormalisedDetector,
    videos: Sequence[VideoFeatures],
    cache: FeatureCache,
    *,
    windows: WindowConfig,
    merge: MergeConfig,
    batch_size: int,
    device: torch.device,
    mixed: bool = False,
) -> Iterator[tuple[VideoFeatures, VideoDetections]]:
    """Each of `videos`, in order, with its merged detections; `detector` is on `device` and in eval mode.

    Raises:
        FloatingPointError: a prediction is not a number, because a feature is not or the detector is broken.
        InputError: the store lacks features of a video.
    """
    cut = (
        window
        for video in videos
        for window in video_windows(video.video_id, video.num_snippets, windows, training=False)
    )
    found = detect_windows(
        detector,
        cut,
        cache,
        batch_size=batch_size,
        top_k=merge.window_top_k,
        min_score=merge.min_score,
        device=device,
        mixed=mixed,
    )
    by_video = groupby(found, key=lambda pair: pair[0].video_id)
    for video, (_, pairs) in zip(videos, by_video, strict=True):
        yield video, merge_windows(video, list(pairs), merge)


def detect_windows(
    detector: NormalisedDetector,
    windows: Iterable[Window],
    cache: FeatureCache,
    *,
    batch_size: int,
    top_k: int,
    device: torch.device,
    mixed: bool = False,
    min_score: float = 0.0,
) -> Iterator[tuple[Window, Detections]]:
    """Each window, in order, with its `top_k` best detections of at least `min_score` on the CPU.

    No batch holds windows of two videos, unless they may be `mixed`: a matrix product may round differently for another
    number of rows, and what is found in a video should not depend, to the bit, on which others a job that was stopped
    had left to do. The next batches are read while the detector works on one. Raises what `detect_videos` raises.
    """

    def load(batch: list[Window]) -> tuple[list[Window], Tensor, Tensor]:
        return batch, *pad_windows([cache.read(window) for window in batch])

    for batch, features, padding_mask in map_ahead(load, _batches(windows, batch_size, mixed)):
        with torch.inference_mode():
            output = detector(features.to(device), padding_mask.to(device))
            if not bool(is_finite(output)):
                videos = ", ".join(sorted({window.video_id for window in batch}))
                raise FloatingPointError(f"a prediction is not a number in a batch of windows of {videos}")
            found = decode(output, top_k, min_score)
        for window, detections in zip(batch, found, strict=True):
            yield (
                window,
                Detections(detections.segments.cpu(), detections.labels.cpu(), detections.scores.cpu()),
            )


def _batches(windows: Iterable[Window], size: int, mixed: bool) -> Iterator[list[Window]]:
    """Runs of at most `size` windows, of one video unless they may be mixed."""
    for _, run in groupby(windows, key=lambda window: mixed or window.video_id):
        while batch := list(islice(run, size)):
            yield batch
