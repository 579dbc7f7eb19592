"""Where a detector's salience heads see an action, snippet by snippet, over whole videos."""

from dataclasses import dataclass

import numpy as np
import torch

from pipeline.detector.batches import pad_windows
from pipeline.detector.feature_cache import FeatureCache
from pipeline.detector.normalisation import NormalisedDetector
from pipeline.detector.settings import WindowConfig
from pipeline.detector.windows import Window, video_windows
from pipeline.features.video_features import VideoFeatures


@dataclass(frozen=True)
class VideoSalience:
    """Foreground over time.

    Attributes:
        times: `[N]` seconds, rising: the centres of snippets, or of the rows that a video was rescaled to.
        probabilities: for each place in the network `[N]` in [0, 1].
    """

    times: np.ndarray
    probabilities: dict[str, np.ndarray]


def video_salience(
    detector: NormalisedDetector, video: VideoFeatures, cache: FeatureCache, windows: WindowConfig
) -> VideoSalience | None:
    """What the salience heads say of a video, the mean where windows overlap; None without such heads.

    `detector` is on the CPU and in eval mode. Raises InputError where the store lacks features of the video.
    """
    sums: dict[str, dict[float, list[float]]] = {}
    for window in video_windows(video.video_id, video.num_snippets, windows, training=False):
        features, padding_mask = pad_windows([cache.read(window)])
        with torch.inference_mode():
            salience = detector.salience(features, padding_mask)
        places = _places(window, features.shape[1]).tolist()
        for name, found in salience.items():
            at = sums.setdefault(name, {})
            for place, probability in zip(places, found.logits[0].float().sigmoid().tolist(), strict=True):
                at.setdefault(place, []).append(probability)
    if not sums:
        return None
    rising = sorted(next(iter(sums.values())))
    return VideoSalience(
        times=video.timeline.to_seconds(np.array(rising)),
        probabilities={name: np.array([np.mean(at[place]) for place in rising]) for name, at in sums.items()},
    )


def _places(window: Window, rows: int) -> np.ndarray:
    """The centre of each row of a window in snippet coordinates of its video: `[rows]`."""
    centres = np.arange(rows) + 0.5
    return window.start + centres * (window.length / rows)
